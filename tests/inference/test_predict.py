"""Every file gets a row, whatever is in it, and is judged again only if something changed."""

import csv
import gc
import json
import os
import shutil
import threading
import tracemalloc

import pytest

from dfjax.errors import UserError
from dfjax.inference import predict, predict_on_beam
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.media import image as media_image
from dfjax.media.errors import MediaError
from dfjax.sandbox.errors import WorkerError
from tests import cards
from tests.inference.detectors import make_detector


def test_folder_with_broken_files_gives_every_file_a_row(take, clip, tmp_path, monkeypatch):
    folder = tmp_path / "mixed"
    (folder / "below").mkdir(parents=True)
    shutil.copy(clip, folder / "clip.mp4")
    data = media_image.encode_image(take.frames[0], "png")
    (folder / "below" / "<b>face.png").write_bytes(data)
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "notes.doc").write_text("no picture")
    (folder / "text.mp4").write_text("no video")
    (folder / ".hidden.png").write_bytes(data)
    detector = make_detector()
    rows = list(predict.predict([str(folder)], detector, tmp_path / "out", num_frames=4))
    assert {row["source"].removeprefix(f"{folder}/"): row["reason"] for row in rows} == {
        "below/<b>face.png": None,
        "clip.mp4": None,
        "cut.png": "corrupt",
        "empty.mp4": "empty",
        "text.mp4": "unsupported",
    }
    for row in rows:
        path = tmp_path / "out" / row["report"]
        assert path.exists()
        judged = json.loads(path.with_suffix(".json").read_text())["verdict"]
        assert (judged["label"], judged["score"]) == (row["verdict"], row["score"])
        assert "<b>face" not in path.read_text()

    # The same call judges only what changed: rows that are there stay, to the byte.
    before = (tmp_path / "out" / "results.csv").read_bytes()
    shutil.copy(clip, folder / "text.mp4")
    judged = []
    score = predict.Detector.score

    def count(self, extracted):
        judged.append(extracted.facts.kind)
        return score(self, extracted)

    with monkeypatch.context() as patch:
        patch.setattr(predict.Detector, "score", count)
        again = predict.predict([str(folder)], make_detector(), tmp_path / "out", num_frames=4)
    assert judged == ["video"]
    changed = str(folder / "text.mp4")
    others = [row for row in rows if row["source"] != changed]
    assert [row for row in again if row["source"] != changed] == others
    assert (tmp_path / "out" / "results.csv").read_bytes() != before

    # Other limits are another model, whatever its weights.
    stricter = make_detector(decisions={"frame": cards.make_threshold(1.0)})
    rows = predict.predict([str(folder)], stricter, tmp_path / "out", num_frames=4)
    assert {row["verdict"] for row in rows} == {"real", "inconclusive"}


def test_a_fault_in_the_code_or_a_dead_process_costs_one_row(clip, tmp_path, monkeypatch):
    sources = [str(tmp_path / name) for name in ("bad.mp4", "crash.mp4", "good.mp4")]
    for source in sources:
        shutil.copy(clip, source)
    extract = SandboxedExtractor.file

    def fail(self, path, *args, **options):
        if path.endswith("bad.mp4"):
            raise KeyError("surprise")
        if path.endswith("crash.mp4"):
            raise WorkerError("it died")
        return extract(self, path, *args, **options)

    monkeypatch.setattr(SandboxedExtractor, "file", fail)
    rows = predict.predict(sources, make_detector(), tmp_path / "out", num_frames=3)
    assert [row["reason"] for row in rows] == ["internal", "worker_died", None]
    assert "KeyError: 'surprise'" in rows[0]["text"]


def test_what_is_no_text_in_a_name_is_written_escaped_and_a_pipe_holds_nothing_up(clip, tmp_path):
    folder = tmp_path / os.fsdecode(b"ord\xe9n")
    folder.mkdir()
    for name in (b"caf\xe9.mp4", "caf\u00e9.mp4".encode()):
        shutil.copy(clip, folder / os.fsdecode(name))
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"junk")
    os.mkfifo(folder / "pipe.mp4")
    out, outputs = tmp_path / "out", predict.Outputs(annotated=True)
    rows = predict.predict([str(folder)], make_detector(), out, num_frames=3, outputs=outputs)
    names = {row["source"].removeprefix(f"{tmp_path}/"): row["reason"] for row in rows}
    assert names == {
        r"ord\xe9n/caf\xe9.mp4": None,
        "ord\\xe9n/caf\u00e9.mp4": None,
        r"ord\xe9n/\xff.png": "unsupported",
        r"ord\xe9n/pipe.mp4": "unreadable",
    }
    assert len(list((out / "annotated").glob("*.mp4"))) == 2
    with (out / "results.csv").open(encoding="utf-8", newline="") as table:
        assert [row["source"] for row in csv.DictReader(table)] == [row["source"] for row in rows]
    for row in rows:
        page = out / row["report"]
        assert row["source"] in page.read_text(encoding="utf-8")
        written = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
        assert written["media"]["name"] == row["source"]
        if row["reason"] is not None:
            assert f"{row['source']}: " in row["text"]
            assert f"{row['source']}: " in written["error"]["message"]
    again = predict.predict([str(folder)], make_detector(), out, num_frames=3, outputs=outputs)
    assert list(again) == list(rows)


def test_files_are_decoded_at_a_time_and_rows_keep_their_order(clip, tmp_path, monkeypatch):
    sources = [str(tmp_path / f"{number}.mp4") for number in range(6)]
    for source in sources:
        shutil.copy(clip, source)
    extract, running = SandboxedExtractor.file, []
    both, most = threading.Barrier(2, timeout=60), []

    def watched(self, path, *args, **options):
        if path.endswith(("0.mp4", "1.mp4")):
            both.wait()  # neither ends before the other has begun
        running.append(path)
        most.append(len(running))
        try:
            return extract(self, path, *args, **options)
        finally:
            running.remove(path)

    monkeypatch.setattr(SandboxedExtractor, "file", watched)
    rows = predict.predict(sources, make_detector(), tmp_path / "two", num_frames=2, jobs=2)
    assert [row["source"] for row in rows] == sources
    assert max(most) <= 2
    alone = predict.predict(sources[2:], make_detector(), tmp_path / "one", num_frames=2)
    assert list(alone) == list(rows)[2:]


def test_a_long_list_takes_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(predict.SandboxedExtractor, "file", _missing)
    peaks = []
    for count in (200, 1_000, 6_000):  # the first warms up
        listed, out = tmp_path / "list.txt", tmp_path / str(count)
        listed.write_text("".join(f"below/a-folder/{number:08d}.mp4\n" for number in range(count)))
        gc.collect()
        tracemalloc.start()
        rows = predict.predict([str(listed)], make_detector(), out, outputs=TABLE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sum(row["reason"] == "missing" for row in rows) == count
    assert peaks[2] < peaks[1] + 1.5 * 2**20  # 5,000 rows take 6 MB
    assert len(rows) == count
    assert rows[-1]["source"].endswith("00005999.mp4")
    with (out / "results.csv").open(newline="") as table:
        assert sum(1 for _ in csv.DictReader(table)) == count


TABLE = predict.Outputs(reports=False)


def _missing(self, path, *args, **options):
    raise MediaError("missing", f"{path}: there is no such file")


def test_workers_of_a_pipeline_write_the_rows_and_reports_of_a_local_run(
    clip, tmp_path, monkeypatch
):
    pytest.importorskip("apache_beam")
    monkeypatch.setattr(predict_on_beam, "_load", lambda model: make_detector())
    monkeypatch.setattr(predict_on_beam, "_FILES_PER_LOT", 2)
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clip, folder / name)
    (folder / "broken.mp4").write_text("no video")
    (folder / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"")
    settings = {"num_frames": 3, "outputs": predict.Outputs(annotated=True)}
    local = predict.predict([str(folder)], make_detector(), tmp_path / "local", **settings)

    def on_beam():
        options = ["--runner=FnApiRunner"]
        arguments = ([str(folder)], {}, str(tmp_path / "beam"))
        return predict_on_beam.predict_on_beam(*arguments, beam_options=options, **settings)

    assert list(on_beam()) == list(local)
    assert len(list((tmp_path / "beam" / "rows").iterdir())) == 3
    tables = [(tmp_path / name / "results.csv").read_bytes() for name in ("beam", "local")]
    assert tables[0] == tables[1]
    for row in local:
        assert (tmp_path / "beam" / row["report"]).exists()
    assert len(list((tmp_path / "beam" / "annotated").glob("*.mp4"))) == 3
    assert not (tmp_path / "beam" / "lots").exists()

    judged = []
    score = predict.Detector.score
    monkeypatch.setattr(
        predict.Detector, "score", lambda self, faces: judged.append(1) or score(self, faces)
    )
    shutil.copy(clip, folder / "broken.mp4")
    assert [row["reason"] for row in on_beam()].count(None) == 4
    assert len(judged) == 1  # only what has changed


def test_a_path_that_is_another_file_on_a_worker_is_refused(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(clip.parent)
    settings = {"num_frames": 3, "outputs": TABLE, "beam_options": ["--runner=X"]}
    cases = (
        (clip.name, {}, tmp_path),
        (str(clip), {"path": "runs/a"}, tmp_path),
        (str(clip), {}, "out"),
        ("-", {}, tmp_path),
    )
    for source, model, out in cases:
        with pytest.raises(UserError, match="is another file on a worker: give paths"):
            predict_on_beam.predict_on_beam([source], model, str(out), **settings)
