"""Every file gets a row, whatever is in it, and is judged again only if something changed."""

import csv
import json
import os
import shutil

from dfjax.inference import predict
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.media import image as media_image
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
