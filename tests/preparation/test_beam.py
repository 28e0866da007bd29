import dataclasses
import json
import os
import pathlib
import sys

import pytest

from dfjax import cli, versions
from dfjax.corpora.clip import Clip
from dfjax.faces.crop_spec import CropSpec
from dfjax.preparation import beam, crop_clip, crop_store
from dfjax.preparation.workers import Cropping
from tests import preparing
from tests.preparing import CROP, command, digests, errors

IN_THIS_PROCESS = ["--runner=FnApiRunner"]
# As DirectRunner, which however looks for another runner on the network first.
TWO_WORKERS = ["--runner", "FnApiRunner", "--pipeline-options"]
TWO_WORKERS += ["direct_num_workers=2", "direct_running_mode=multi_processing"]


def make_clip(path: pathlib.Path) -> Clip:
    path.write_bytes(b"data")
    return Clip(f"c/real/{path.name}", str(path), 0, "real", "train", ())


BY_NAME = Cropping(CropSpec(), 1, module="tests.preparation.crop_tasks")


@pytest.fixture
def store(tmp_path):
    """Of a run that began with what is installed here."""
    settings = {"versions": versions.installed()}
    (tmp_path / beam.SETTINGS).write_text(json.dumps(settings))
    with crop_store.CropStore(tmp_path / "crops") as store:
        yield store


def test_beam_killed_half_way_goes_on_and_ends_with_the_bytes_of_a_local_run(tmp_path):
    pytest.importorskip("apache_beam")
    root, out = tmp_path / "videos", tmp_path / "out"
    broken = preparing.write_videos(root, count=20)
    crops = ["--frames", "3", "--size", "64"]
    assert cli.main(command(root, tmp_path / "local", *crops, "--jobs", "1")) == 0

    killed = preparing.start(command(root, out, *crops, *TWO_WORKERS))
    preparing.wait_for(killed, out, finished=3)
    preparing.kill_all(killed)
    done = preparing.spoil_finished(root, out)
    assert 3 <= done < 20 - len(broken)

    assert cli.main(command(root, out, *crops, *TWO_WORKERS)) == 0
    assert digests(out) == digests(tmp_path / "local")
    assert errors(out) == errors(tmp_path / "local")
    assert [row["path"] for row in errors(out)] == broken
    assert not (out / "work").exists()


def test_every_clip_has_an_outcome_and_failures_are_tried_again(tmp_path, store, monkeypatch):
    pytest.importorskip("apache_beam")
    clips = [make_clip(tmp_path / name) for name in ("a", "deadly", "bug", "b")]
    monkeypatch.setattr(beam, "_POLL_SECONDS", 0.01)
    shown = []
    found = beam.crop_clips(clips, store, BY_NAME, options=IN_THIS_PROCESS, show=shown.append)
    assert [clip for clip, _ in found] == clips
    assert [outcome.code for _, outcome in found] == ["", "worker_died", "internal", ""]
    assert [store.outcome(clip).failed for clip in clips] == [False, True, True, False]
    assert store.crops(clips[3])[0]["image"] == b"encoded"
    assert shown == sorted(shown)
    assert set(shown) & {1, 2, 3}  # while the pipeline ran
    assert beam.crop_clips([], store, BY_NAME, options=["--runner=X"], show=print) == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"versions": versions.installed() | {"av": "0.1"}}, "'av': '0.1'}: install the same on"),
        (None, "a worker does not see .*settings.json: mount"),
    ],
)
def test_a_worker_that_is_not_like_the_launcher_ends_the_run(tmp_path, store, settings, reason):
    pytest.importorskip("apache_beam")
    if settings:
        (tmp_path / beam.SETTINGS).write_text(json.dumps(settings))
    else:
        (tmp_path / beam.SETTINGS).unlink()
    clips = [make_clip(tmp_path / "a")]
    with pytest.raises(OSError, match=f"the pipeline failed .*{reason}"):
        beam.crop_clips(clips, store, BY_NAME, options=IN_THIS_PROCESS, show=print)


def test_a_relative_path_is_refused(tmp_path, store):
    clip = dataclasses.replace(make_clip(tmp_path / "a"), path="clips/a.mp4")
    with pytest.raises(ValueError, match=r"clips/a\.mp4 is another file on a worker: give paths"):
        beam.crop_clips([clip], store, BY_NAME, options=IN_THIS_PROCESS, show=print)


def test_workers_that_write_elsewhere_end_the_run(tmp_path, store, monkeypatch):
    clips = [make_clip(tmp_path / "a")]
    monkeypatch.setattr(beam, "_run", lambda *_: None)
    with pytest.raises(OSError, match=r"a: .*crops\.parts holds nothing of it: mount that folder"):
        beam.crop_clips(clips, store, BY_NAME, options=IN_THIS_PROCESS, show=print)


def test_parts_are_taken_in_as_far_as_they_are_written_and_later_ones_count_more(tmp_path, store):
    a, b, c = (make_clip(tmp_path / name) for name in "abc")
    failure = crop_store.Outcome("corrupt", "broken")
    store.parts.mkdir()
    with crop_store.CropStore(store.parts / "z") as part:
        part.save_failure(a, failure)
        part.save_failure(c, failure)
    with crop_store.CropStore(store.parts / "y") as part:
        part.save(a, crop_clip.ClipCrops([CROP, CROP], 2, False))
        part.save(b, crop_clip.ClipCrops([CROP], 1, False))
    whole = (store.parts / "y").read_bytes()
    (store.parts / "y").write_bytes(whole[:-1])
    os.utime(store.parts / "z", ns=(0, 0))
    store.collect()
    assert (store.outcome(a).crops, store.outcome(b), store.outcome(c)) == (2, None, failure)
    assert (store.parts / "y").read_bytes() == whole[:-1]  # its worker may still be writing
    (store.parts / "y").write_bytes(whole)
    store.collect()
    assert store.outcome(b).crops == 1
    assert [len(store.crops(clip)) for clip in (a, b)] == [2, 1]
    (store.parts / "y").write_bytes(whole[:-1] + b"?")
    with pytest.raises(ValueError, match=r"crops\.parts/y is damaged: delete it"):
        store.crops(b)


def test_without_beam_the_message_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    preparing.write_videos(tmp_path / "videos", count=2)
    assert cli.main(command(tmp_path / "videos", tmp_path / "out", *TWO_WORKERS)) == 2
    printed = capsys.readouterr().err
    assert printed == 'dfjax: error: Apache Beam is not installed: pip install "dfjax[beam]"\n'
