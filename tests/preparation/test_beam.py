"""A preparation on the workers of a pipeline makes the records of a local one."""

import json
import pathlib
import sys

import pytest

from dfjax import beam, cli, versions
from dfjax.buckets import store
from dfjax.corpora.clip import Clip
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.preparation import bookkeeping, distributed, lots
from dfjax.preparation.settings import Settings
from dfjax.preparation.workers import Cropping
from tests import preparing
from tests.preparing import command, errors

RECORDS = builder.BELOW.as_posix()
IN_THIS_PROCESS = ["--runner=FnApiRunner"]
# As DirectRunner, which however looks for another runner on the network first.
TWO_WORKERS = ["--runner", "FnApiRunner", "--pipeline-options"]
TWO_WORKERS += ["direct_num_workers=2", "direct_running_mode=multi_processing"]


def make_clip(path: pathlib.Path, split: str = "train") -> Clip:
    path.write_bytes(b"data")
    return Clip(f"c/real/{path.name}", str(path), 0, "real", split, ())


# The names of the clips decide what comes of them.
BY_NAME = Cropping(CropSpec(size=16, encoding="png"), 1, module="tests.preparation.crop_tasks")


@pytest.fixture
def target(tmp_path) -> store.Folder:
    """Of a run that began with what is installed here."""
    folder = store.Folder(str(tmp_path / "out"))
    folder.write(bookkeeping.SETTINGS, json.dumps({"versions": versions.installed()}).encode())
    return folder


def _read(dataset: builder.Dataset, split: str) -> list[dict]:
    records = dataset.records(split)
    return [records[row] for row in range(len(records))]


def _records(out: pathlib.Path | str) -> dict[str, list[str]]:
    """All records of each split, as text, in an order of their own."""
    dataset = builder.open_dataset(out)
    return {
        split: sorted(repr(sorted(dict(record).items())) for record in _read(dataset, split))
        for split in dataset.splits
    }


@pytest.mark.long
def test_beam_killed_half_way_goes_on_and_ends_with_the_records_of_a_local_run(tmp_path):
    pytest.importorskip("apache_beam")
    root, out = tmp_path / "videos", tmp_path / "out"
    broken = preparing.write_videos(root, count=20)
    crops = ["--frames", "3", "--size", "64"]
    assert cli.main(command(root, tmp_path / "local", *crops, "--jobs", "1")) == 0

    killed = preparing.start(command(root, out, *crops, *TWO_WORKERS))
    preparing.wait_for(killed, out, finished=1)
    preparing.kill_all(killed)
    finished = [json.loads(path.read_text()) for path in (out / "work" / "lots").glob("[!.]*")]
    # Those of failed clips are tried again.
    kept = [note for note in finished if not any(each["code"] for each in note["outcomes"])]
    assert not (builder.dataset_dir(out) / "checksums.json").exists()

    assert cli.main(command(root, out, *crops, *TWO_WORKERS)) == 0
    written = json.loads((builder.dataset_dir(out) / "checksums.json").read_text())["files"]
    for note in kept:
        assert written[note["shard"]] == note["checksums"]
    assert _records(out) == _records(tmp_path / "local")
    assert errors(out) == errors(tmp_path / "local")
    assert [row["path"] for row in errors(out)] == broken
    assert not (out / "work").exists()
    assert all(compared.damage is None for compared in builder.verify(out))
    for name in ("audit.json", "dataset_card.html"):
        assert (out / name).exists()


def _make(work: list[lots.Lot], target: store.Folder) -> list[tuple[lots.Lot, lots.Note]]:
    return distributed._make_all_lots(work, BY_NAME, target, RECORDS, IN_THIS_PROCESS)


def test_every_clip_has_an_outcome_and_lots_with_failures_are_made_again(
    tmp_path, target, monkeypatch
):
    pytest.importorskip("apache_beam")
    names = {"train": ("a", "deadly", "bug", "b"), "val": ("c", "d"), "test": ("broken",)}
    clips = [make_clip(tmp_path / name, split) for split in names for name in names[split]]
    work = lots.divide(clips, None)
    assert [(lot.split, len(lot.clips)) for lot in work] == [("train", 4), ("val", 2), ("test", 1)]
    codes = [[outcome.code for outcome in note.outcomes] for _, note in _make(work, target)]
    assert codes == [["", "worker_died", "internal", ""], ["", ""], ["corrupt"]]
    assert lots.num_clips(target, work) == 7

    ran, run = [], beam.run

    def counted(task, work, options):
        ran.extend(lot.split for lot in work)
        run(task, work, options)

    monkeypatch.setattr(beam, "run", counted)
    noted = _make(work, target)
    assert ran == ["train", "test"]
    lots.commit(target, noted, records=RECORDS, cropping=BY_NAME, lent=(), metadata={})
    dataset = builder.open_dataset(target.url)
    assert dataset.splits == ("train", "val")  # of test, nothing gave a crop
    index = dataset.index("train")
    assert index.clips[index.clip].tolist() == ["c/real/a", "c/real/b"]
    assert [record["clip"] for record in _read(dataset, "val")] == ["c/real/c", "c/real/d"]
    assert all(compared.damage is None for compared in builder.verify(target.url))
    assert not list(builder.dataset_dir(target.url).glob("*test*"))


def test_many_clips_make_a_bounded_number_of_shards_and_carry_their_originals_along():
    clips = [
        Clip(f"c/fake/{n}", "/x", 1, "fake", "train", (), f"c/real/{n}") for n in range(20_000)
    ]
    work = lots.divide(clips, {"c/real/3": "/three", "c/real/19999": "/last"})
    assert len(work) == 1000
    assert [clip for lot in work for clip in lot.clips] == clips
    assert [lot.originals for lot in (work[0], work[1], work[-1])] == [
        {"c/real/3": "/three"},
        {},
        {"c/real/19999": "/last"},
    ]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"versions": versions.installed() | {"av": "0.1"}}, "'av': '0.1'}: install the same on"),
        (None, "a worker does not see .*settings.json: use a bucket, or mount"),
    ],
)
def test_a_worker_that_is_not_like_the_launcher_ends_the_run(tmp_path, target, settings, reason):
    pytest.importorskip("apache_beam")
    target.remove(bookkeeping.SETTINGS)
    if settings:
        target.write(bookkeeping.SETTINGS, json.dumps(settings).encode())
    with pytest.raises(OSError, match=f"the pipeline failed .*{reason}"):
        _make(lots.divide([make_clip(tmp_path / "a")], None), target)


@pytest.mark.parametrize(("clip", "out"), [("clips/a.mp4", "/out"), ("/clips/a.mp4", "out")])
def test_a_relative_path_is_refused(clip, out):
    clips = [Clip("c/real/a", clip, 0, "real", "train", ())]
    wrong = next(path for path in (clip, out) if path[0] != "/")
    with pytest.raises(UserError, match=f"{wrong} is another file on a worker: give paths"):
        distributed.prepare(clips, out, Settings(CropSpec()), IN_THIS_PROCESS, overwrite=False)


def test_workers_that_write_elsewhere_end_the_run(tmp_path, target, monkeypatch):
    monkeypatch.setattr(beam, "run", lambda *_: None)
    with pytest.raises(OSError, match=r"out holds nothing of .*/a: use a bucket, or mount"):
        _make(lots.divide([make_clip(tmp_path / "a")], None), target)


def test_without_beam_the_message_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    preparing.write_videos(tmp_path / "videos", count=2)
    assert cli.main(command(tmp_path / "videos", tmp_path / "out", *TWO_WORKERS)) == 2
    printed = capsys.readouterr().err
    missing = 'Apache Beam is not installed: pip install "dfjax[beam]"'
    assert printed.endswith(f"dfjax: error: {missing}\n")
