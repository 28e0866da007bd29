"""What `dfjax doctor` finds here, and that it finds what is wrong."""

import importlib.metadata
import re
import shutil

import pytest

from dfjax import cli
from dfjax.faces import detect
from dfjax.weights import shipped


def test_this_machine_is_as_it_should_be(capsys):
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for subject in ("python", "packages", "devices", "codecs", "models", "disk", "compile cache"):
        assert f"  {subject} " in printed
    assert "!" not in printed


def _no_landmarks(monkeypatch, tmp_path):
    find = detect.landmark_file
    monkeypatch.setattr(detect, "landmark_file", lambda points: find(points, tmp_path))


def _old_package(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["numpy>=99", "nowhere"])


def _damaged_detector(monkeypatch, tmp_path):
    shutil.copytree(shipped.DETECTOR, tmp_path, dirs_exist_ok=True)
    (weights,) = tmp_path.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setattr(shipped, "DETECTOR", tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_landmarks, "! models .*landmarks.dat is missing: pip install"),
        (_old_package, r"! packages +numpy [\d.]+ is not numpy>=99\n! packages +nowhere is miss"),
        (_damaged_detector, "! models .*its SHA-256 is .*again"),
    ],
)
def test_what_is_wrong_is_marked_with_what_to_do(monkeypatch, tmp_path, capsys, spoil, message):
    spoil(monkeypatch, tmp_path)
    assert cli.main(["doctor"]) == 1
    assert re.search(message, capsys.readouterr().out)
