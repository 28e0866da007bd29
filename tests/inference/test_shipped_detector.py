"""The detector that comes with dfjax is the one that the code names, and says what it is."""

import csv
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import dfjax
from dfjax import model_card
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.errors import UserError
from dfjax.inference import manifest, scorer
from dfjax.media import image
from dfjax.model_card import VERDICTS
from dfjax.weights import shipped

ROOT = pathlib.Path(__file__).parents[2]
PHOTOGRAPH = ROOT / "docs" / "examples" / "london_001.jpg"
VIDEOS = pathlib.Path(os.environ.get("DFJAX_TEST_DATA", "nowhere"), "videos")


@pytest.fixture
def copy(tmp_path, monkeypatch) -> pathlib.Path:
    """A copy that stands in the place of the detector, to be spoiled."""
    folder = pathlib.Path(shutil.copytree(shipped.DETECTOR, tmp_path / "detector"))
    monkeypatch.setattr(shipped, "DETECTOR", folder)
    return folder


def test_its_folder_holds_what_was_made_and_nothing_else():
    listed = manifest.read(shipped.DETECTOR)
    assert sorted(listed.sha256) == [
        "MODEL_CARD.md",
        "TERMS.md",
        "model.safetensors",
        "model_card.json",
    ]
    for name in listed.sha256:
        listed.require(name)
    there = list(shipped.DETECTOR.iterdir())
    assert {path.name for path in there} == {*listed.sha256, manifest.FILE}
    assert sum(path.stat().st_size for path in there) < 20e6
    release = model_card.read(shipped.DETECTOR).release
    assert "research and evaluation" in release.terms
    texts = [(shipped.DETECTOR / name).read_text() for name in (shipped.TERMS, "MODEL_CARD.md")]
    assert "Research and evaluation" in texts[0]
    assert release.terms in texts[1]
    assert not [text for text in texts if "/tmp/" in text or "/home/" in text]


def test_it_does_not_judge_drawn_people():
    detector = dfjax.Detector.load()
    for person in range(12):
        (frame,) = synthetic.film(synthetic.Settings(seed=5, frames=1), person, take=0).frames
        found = detector.image(frame).verdict
        assert (found.level, found.reason) == ("not_applicable", "unlike_training"), person


@pytest.mark.parametrize("name", ["export.json", "model.safetensors", "model_card.json"])
def test_a_flipped_bit_is_refused_before_anything_is_loaded(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: its SHA-256 is .* install dfjax again, or name"):
        scorer.load(copy)


def test_another_model_in_its_place_is_refused(copy, exported):
    shutil.rmtree(copy)
    with pytest.raises(UserError, match=r"neither a run .*: install dfjax again, or name"):
        scorer.load(copy)
    shutil.copytree(exported, copy)
    with pytest.raises(UserError, match=f"{shipped.DETECTOR_SHA256} is expected: .* install dfjax"):
        scorer.load(copy)
    digest = manifest.digest(copy / manifest.FILE)
    assert scorer.load(copy, expect=digest).runtime == "onnx"  # whoever says so knows it


def test_it_judges_where_no_model_is_named_and_says_which_it_is(clip, caplog):
    with caplog.at_level(logging.WARNING):
        detector = dfjax.Detector.load()
    release = detector.scorer.card.release
    (said,) = [record.getMessage() for record in caplog.records]
    for part in (release.name, release.trained_on, release.terms, str(shipped.DETECTOR)):
        assert part in said
    result = detector.image(image.read_image(PHOTOGRAPH))
    assert (result.verdict.label in VERDICTS, len(result.faces)) == (True, 1)
    assert 0 < result.faces[0].score < 1
    assert len(detector.heat_maps(result.faces)) == 1
    result = detector.video(clip, num_frames=4)
    assert result.verdict.label in VERDICTS


@pytest.mark.skipif(not VIDEOS.is_dir(), reason="DFJAX_TEST_DATA names no folder of clips")
def test_it_judges_a_real_clip():
    path = min((VIDEOS / "real").glob("*.mp4"), key=lambda path: path.stat().st_size)
    result = dfjax.Detector.load().file(path, num_frames=8)
    assert result.verdict.label in VERDICTS
    assert sum(face.quality is None for face in result.faces) >= 4


def test_a_photograph_is_judged_by_one_command(tmp_path):
    """The last step of the quickstart, from another folder."""
    done = subprocess.run(
        [sys.executable, "-m", "dfjax.cli", "predict", PHOTOGRAPH, "--frames", "4"],
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    release = model_card.read(shipped.DETECTOR).release
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("dfjax: note:")]
    assert release.trained_on in note
    assert release.terms in note
    out = tmp_path / "runs" / "predict"
    (row,) = csv.DictReader((out / "results.csv").read_text().splitlines())
    assert (row["model"], row["verdict"] in VERDICTS) == (release.name, True)
    page = out / row["report"]
    assert f"Judged by {release.name}, trained on" in page.read_text()
    report = json.loads(page.with_suffix(".json").read_text())
    assert report["model"]["release"]["terms"] == release.terms


def test_a_wrong_expectation_is_refused():
    with pytest.raises(UserError, match=f"and {'0' * 64} is expected: this is another export"):
        scorer.load(expect="0" * 64)
