"""Weights are refused for a model that does not normalize images as they expect."""

import contextlib
import json

import numpy as np
import pytest

from dfjax import models
from dfjax.models import key_names, layers
from dfjax.weights import files, normalization

TENSORS = {"conv/kernel": np.zeros(2, np.float32)}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("config.json", {"pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 1]}}),
        ("preprocessor_config.json", {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 1]}),
    ],
)
def test_constants_are_read_next_to_the_file_unless_it_states_its_own(tmp_path, name, config):
    files.write(tmp_path / "model.safetensors", TENSORS, {})
    (tmp_path / name).write_text(json.dumps(config))
    stated = files.read(tmp_path / "model.safetensors").normalization
    assert stated == {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 1.0)}
    own = {"mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
    files.write(tmp_path / "model.safetensors", TENSORS, own)
    stated = files.read(tmp_path / "model.safetensors").normalization
    assert stated == {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 10**5, '{"pretrained_cfg": {"mean": [1, 2], "std": "x"}}', "\xff"]
)
def test_a_config_of_another_program_is_ignored(tmp_path, text):
    files.write(tmp_path / "model.safetensors", TENSORS, {})
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    assert files.read(tmp_path / "model.safetensors").normalization == {}


def test_constants_of_the_weights_have_to_be_those_of_the_model():
    model, library = models.build("resnet18"), "torchvision, timm"
    normalization.require_same({}, model, library)
    normalization.require_same({"mean": [0.485, 0.456, 0.406]}, model, library)
    with pytest.raises(ValueError, match=r"with std \(0\.5, 0\.5, 0\.5\).*config\.model\.std"):
        normalization.require_same({"std": (0.5, 0.5, 0.5)}, model, library)


HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}  # the defaults of vit_b16 and xception


@pytest.mark.parametrize(
    ("name", "library", "settings", "message"),
    [
        # All of torchvision's weights have ImageNet's constants.
        ("vit_b16", "torchvision", {}, r"with mean \(0\.485.* by \(0\.5.*config\.model\.mean"),
        ("vit_b16", "torchvision", {"mean": layers.IMAGENET_MEAN}, r"trained with std \(0\.229"),
        ("vit_b16", "torchvision", HALVES, r"trained with mean \(0\.485"),
        ("vit_b16", "torchvision", layers.BY_IMAGENET, ""),
        ("vit_b16", "vision_transformer", {}, ""),
        ("xception", "timm", {}, ""),
        ("meso4", "MesoNet (Keras)", {}, ""),
        # Of timm's and Hugging Face's vision transformers some have these, some have those.
        ("vit_b16", "timm", {}, r"not state the mean .*names of timm: .*config\.model\.mean"),
        ("vit_b16", "timm", {"mean": (0.5, 0.5, 0.5)}, "not state the std"),
        ("vit_b16", "timm", HALVES, ""),
        ("dinov2_vit_b14", "timm", {}, ""),
        ("clip_vit_b16", "Hugging Face CLIP", {}, "not state the mean"),
    ],
)
def test_if_the_file_states_nothing_its_library_or_the_caller_decides(
    name, library, settings, message
):
    model = models.build(name, **settings)
    assert library in key_names.names(model)
    expected = pytest.raises(ValueError, match=message) if message else contextlib.nullcontext()
    with expected:
        normalization.require_same({}, model, library, chosen=settings)
    # What the file states counts more.
    stated = {"mean": model.mean, "std": model.std}
    normalization.require_same(stated, model, library)
