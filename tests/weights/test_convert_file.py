"""`dfjax convert-weights` writes what a run can start from, and refuses what does not fit."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import cli, models, tree
from dfjax.weights import files
from tests.models import pytorch_tensors

SMALL = {"stage_sizes": (1, 1), "width": 4}
SET = [f"--set={field}={json.dumps(value)}" for field, value in SMALL.items()]


@pytest.fixture(scope="module")
def variables() -> dict:
    model = models.build("resnet18", **SMALL)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    rng = np.random.default_rng(0)
    return {
        key: jax.tree.map(lambda leaf: rng.random(leaf.shape, np.float32), shapes[key])
        for key in ("params", "batch_stats")
    }


@pytest.fixture
def pytorch_file(variables, tmp_path):
    model = models.build("resnet18", **SMALL)
    tensors = pytorch_tensors.as_pytorch(variables, model, "torchvision, timm")
    path = tmp_path / "theirs.safetensors"
    files.write(path, {**tensors, "fc.weight": np.zeros((1000, 8), np.float32)}, {})
    return path


def test_weights_of_pytorch_become_ours(pytorch_file, variables, tmp_path, capsys):
    out = tmp_path / "ours.safetensors"
    command = ["convert-weights", str(pytorch_file), "--model=resnet18", f"--out={out}", *SET]
    assert cli.main(command) == 0
    table = capsys.readouterr().out
    (fc,) = (line for line in table.splitlines() if "fc" in line)
    assert "dropped" in fc
    assert "[1000, 8]" in fc
    assert "by the names of torchvision, timm" in table

    file = files.read(out)
    names = tree.leaf_names(variables)
    expected = dict(zip(names, jax.tree.leaves(variables), strict=True))
    assert file.tensors.keys() == {name for name in names if "/head/" not in name}
    for name, value in file.tensors.items():
        np.testing.assert_array_equal(value, expected[name])
    assert file.metadata["format"] == "dfjax"
    assert file.metadata["model"] == "resnet18"
    assert json.loads(file.metadata["settings"]) == {"stage_sizes": [1, 1], "width": 4}
    assert file.metadata["source"] == "theirs.safetensors"
    assert file.metadata["sha256"] == files.read(pytorch_file).sha256
    assert file.normalization["mean"] == (0.485, 0.456, 0.406)
    assert out.stat().st_mode & 0o777 == 0o666 & ~_umask()

    again = tmp_path / "again.safetensors"  # ours are read as others' are
    assert cli.main(["convert-weights", str(out), "--model=resnet18", f"--out={again}", *SET]) == 0
    assert files.read(again).tensors.keys() == file.tensors.keys()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_weights_of_images_with_another_normalization_are_refused(pytorch_file, tmp_path, capsys):
    config = {"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.229, 0.224, 0.225]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    out = tmp_path / "ours.safetensors"
    command = ["convert-weights", str(pytorch_file), "--model=resnet18", f"--out={out}", *SET]
    assert cli.main(command) == 2
    assert "trained with mean (0.5, 0.5, 0.5)" in capsys.readouterr().err
    assert not out.exists()
    assert cli.main([*command, "--set=mean=[0.5, 0.5, 0.5]"]) == 0
    (tmp_path / "config.json").unlink()
    assert files.read(out).normalization["mean"] == (0.5, 0.5, 0.5)


def test_the_installed_network_of_dlib_is_converted(tmp_path, capsys):
    out = tmp_path / "dlib.safetensors"
    source = "package:face-recognition-models"
    assert cli.main(["convert-weights", source, "--model=dlib_resnet", f"--out={out}"]) == 0
    assert "5,607,488 numbers" in capsys.readouterr().out
    assert files.read(out).tensors["params/descriptor/kernel"].shape == (256, 128)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--model=resnet18"], "is missing"),
        (["--model=resnet19"], "unknown model 'resnet19'"),
        ([*SET, "--set=depth=3"], "resnet18 has no setting depth"),
        (["--set=width"], "--set width: use FIELD=VALUE"),
        ([*SET, "--reinit=haed/.*"], "rule 'haed/.*' matches no parameter"),
        ([*SET, "--reinit="], "head/logit/bias [1] is missing"),
        ([*SET, "--format=npz"], "has the format safetensors, not npz"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(pytorch_file, tmp_path, capsys, changes, message):
    out = tmp_path / "ours.safetensors"
    command = ["convert-weights", str(pytorch_file), "--model=resnet18", f"--out={out}", *changes]
    assert cli.main(command) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not out.exists()
