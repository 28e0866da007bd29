"""The command that makes the detector in the package names no folder, and refuses other scores."""

import hashlib
import json
import sys

import pytest

import make_detector
from dfjax import model_card

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def make(run, tmp_path, monkeypatch):
    """Runs the command on the tiny run; returns its status and its output folder."""

    def make():
        out = tmp_path / "out"
        monkeypatch.setattr(sys, "argv", ["make_detector.py", str(run), "--out", str(out)])
        return make_detector.main(), out

    return make


def test_it_says_what_it_is_and_not_where_it_was_made(make, prepared, capsys):
    status, out = make()
    assert status == 0
    card = model_card.read(out)
    assert card.release == make_detector.RELEASE
    assert card.protocol["trained_on"] == f"{prepared.name}:train"
    published = (out / "MODEL_CARD.md").read_text()
    assert str(prepared.parent) not in published
    assert f"trained on {prepared.name}:train with seed 0" in published
    digest = hashlib.sha256((out / "export.json").read_bytes()).hexdigest()
    assert capsys.readouterr().out.endswith(f"DETECTOR_SHA256 is {digest}\n")
    assert list(json.loads((out / "export.json").read_text())["deviations"]) == [
        "model.safetensors"
    ]


def test_nothing_is_written_if_scores_differ(make, monkeypatch, capsys):
    monkeypatch.setattr(make_detector, "TOLERANCE", -1.0)
    status, out = make()
    assert (status, out.exists()) == (2, False)
    assert "that is more than -1.0: nothing was written" in capsys.readouterr().err
