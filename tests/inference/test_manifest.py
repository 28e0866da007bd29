"""An export is opened only as it was written, and only as far as was asked for."""

import hashlib
import json
import pathlib
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest

from dfjax.errors import UserError
from dfjax.inference import manifest, runtimes, scorer
from dfjax.inference.detector import Detector

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def copy(exported, tmp_path) -> pathlib.Path:
    """An export to be spoiled."""
    return pathlib.Path(shutil.copytree(exported, tmp_path / "export"))


def flip_a_bit(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_every_file_is_listed_with_its_digest(exported):
    listed = json.loads((exported / "export.json").read_text())["sha256"]
    paths = [path for path in exported.rglob("*") if path.is_file()]
    assert listed == {
        path.relative_to(exported).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.name != "export.json"
    }
    assert {"model_card.json", "model.onnx", "saved_model/1/saved_model.pb"} <= listed.keys()


@pytest.mark.parametrize("runtime", runtimes.RUNTIMES)
def test_a_flipped_bit_is_refused_where_it_would_be_opened(copy, runtime):
    artefact = copy / runtimes.RUNTIMES[runtime].artefact
    opened = [path for path in [artefact, *artefact.rglob("*")] if path.is_file()]
    for file in opened:
        flip_a_bit(file)
        message = f"{file.name}: its SHA-256 is [0-9a-f]{{64}}, and export.json says [0-9a-f]{{64}}"
        with pytest.raises(UserError, match=f"{message}: .* export the run again"):
            scorer.load(copy, runtime)
        flip_a_bit(file)
    for file in (copy / "model_card.json", copy / "explain.stablehlo"):
        flip_a_bit(file)
        with pytest.raises(UserError, match=f"{file.name}: its SHA-256 is"):
            scorer.load(copy)
        flip_a_bit(file)
    assert scorer.load(copy, runtime).runtime == runtime


def test_what_was_added_is_refused(copy, tmp_path):
    """The newest version of a SavedModel is opened: none may slip in, nor a link to one."""
    added = copy / "saved_model" / "2"
    added.symlink_to(copy / "saved_model" / "1")
    with pytest.raises(UserError, match=r"saved_model/2: its SHA-256 is none, and .* says none"):
        scorer.load(copy, "savedmodel")
    added.unlink()
    shutil.copytree(copy / "saved_model" / "1", added)
    with pytest.raises(UserError, match=r"saved_model/2/.*, and export.json says none"):
        scorer.load(copy, "savedmodel")
    shutil.rmtree(copy / "saved_model" / "1")
    with pytest.raises(UserError, match=r"saved_model/1/.*: its SHA-256 is none, and"):
        scorer.load(copy, "savedmodel")


def test_an_export_without_digests_is_not_read(copy):
    fields = json.loads((copy / "export.json").read_text())
    del fields["sha256"]
    (copy / "export.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"cannot read \(export.json lacks sha256\): export the"):
        scorer.load(copy)


def test_only_the_expected_export_is_loaded(run, copy):
    expected = hashlib.sha256((copy / "export.json").read_bytes()).hexdigest()
    assert manifest.digest(copy / "export.json") == expected
    assert scorer.load(copy, "onnx", expect=expected).runtime == "onnx"
    with pytest.raises(UserError, match="is a run, and --expect is for exports: leave it out"):
        scorer.load(run, expect=expected)
    # Who changes a file and its digest changes the digest of export.json.
    (copy / "model.onnx").write_bytes(b"another")
    manifest.write(copy, {"format": 2})
    with pytest.raises(UserError, match=f"and {expected} is expected: this is another"):
        scorer.load(copy, expect=expected)


def test_the_commands_take_what_is_expected(exported, prepared, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for command in (
        ["predict", "a.png"],
        ["evaluate", "--data", f"{prepared}:test", "--out", "out"],
        ["serve", "--port", "0"],
    ):
        arguments = [*command, "--model", exported, "--expect", "0" * 64]
        done = subprocess.run(
            [sys.executable, "-m", "dfjax.cli", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert f"and {'0' * 64} is expected: this is another export" in done.stderr


def test_onnx_by_name_opens_nothing_that_is_a_program(copy, tmp_path):
    """A SavedModel that writes a file stands in place of the one that was exported."""
    import tensorflow as tf

    stolen = tmp_path / "stolen"

    class Evil(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 40, 40, 3), tf.uint8, "image")])
        def crops(self, image):
            tf.io.write_file(str(stolen), "x")
            return {"logit": tf.zeros(tf.shape(image)[:1])}

    evil = Evil()
    shutil.rmtree(copy / "saved_model")
    tf.saved_model.save(evil, str(copy / "saved_model" / "1"), {"crops": evil.crops})
    (copy / "explain.stablehlo").write_bytes(b"no program at all")
    manifest.write(copy, {"format": 2})

    pixels = np.zeros((1, 40, 40, 3), np.uint8)
    for path, runtime in ((copy, "onnx"), (copy, "openvino"), (copy / "model.onnx", None)):
        detector = Detector.load(path, runtime=runtime)
        assert detector.scorer.heat_maps(pixels) is None
        assert 0 < detector.scorer.scores(pixels)[0] < 1
        assert any(warning.startswith("there are no heat maps") for warning in detector.warnings)
    assert not stolen.exists()
    fastest = scorer.load(copy)
    assert 0 < fastest.scores(pixels)[0] < 1
    with pytest.raises(struct.error):  # it also opens the heat maps, when they are asked for
        fastest.heat_maps(pixels)
    (copy / "explain.stablehlo").unlink()
    scorer.load(copy, "savedmodel").scores(pixels)
    assert stolen.exists()  # an export is a program
