"""What an export is, what it is compared with, and when there is none."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from dfjax import export, metrics, model_card
from dfjax.inference import runtimes, scorer
from dfjax.media import image
from dfjax.models import fold
from dfjax.run import Run
from tests import cards

pytestmark = pytest.mark.usefixtures("quick_compilation")

REAL = pathlib.Path(os.environ.get("DFJAX_TEST_DATA", "missing"), "ciplab")


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_export_holds_every_artefact_and_says_how_near_it_is(run, exported):
    names = {path.name for path in exported.iterdir()}
    assert names == {
        "saved_model",
        "score.stablehlo",
        "explain.stablehlo",
        "model.onnx",
        "model_card.json",
        "export.json",
    }
    assert (exported / "saved_model" / "1" / "saved_model.pb").is_file()
    assert model_card.read(exported) == model_card.read(run)
    found = json.loads((exported / "export.json").read_text())["deviations"]
    assert {name: sorted(by_runtime) for name, by_runtime in found.items()} == {
        "model.onnx": ["onnx", "openvino"],
        "score.stablehlo": ["stablehlo"],
        "explain.stablehlo": ["stablehlo"],
        "saved_model": [
            "savedmodel",
            "savedmodel, float",
            "savedmodel, jpeg",
            "savedmodel, png",
        ],
    }
    scores = [each["score"] for by in found.values() for each in by.values() if "score" in each]
    assert len(scores) == 7
    assert max(scores) <= 1e-5


# TensorFlow alone, as a server that knows nothing of this package would use it.
SERVE = """
import json, sys
import tensorflow as tf
path, *pictures = sys.argv[1:]
served = tf.saved_model.load(path).signatures["serving_default"]
data = [tf.io.read_file(picture) for picture in pictures]
found = served(image_bytes=tf.stack(data))
assert "dfjax" not in sys.modules
print(json.dumps({name: value.numpy().astype(str).tolist() for name, value in found.items()}))
"""


def test_saved_model_serves_encoded_crops_without_this_package(exported, crops, tmp_path):
    for number, crop in enumerate(crops[:5]):
        encoding = ("jpeg", "png")[number % 2]
        (tmp_path / f"{number}").write_bytes(image.encode_image(crop, encoding))
    pictures = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", SERVE, exported / "saved_model" / "1", *pictures],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    decoded = np.stack([image.read_image(picture) for picture in pictures])
    model = scorer.load(exported, "onnx")
    np.testing.assert_allclose(np.float64(found["score"]), model.scores(decoded), atol=1e-5)
    np.testing.assert_allclose(np.float64(found["logit"]), model.logits(decoded), atol=1e-5)
    assert set(found["label"]) <= {"real", "fake", "inconclusive"}


@pytest.fixture(scope="module")
def rewritten(run, crops, tmp_path_factory):
    """(folder, card, logits) of the model of `run` with larger inputs and a card of its own.

    A third of `crops` is undecided by it.
    """
    card, model, variables = Run.open(run).evaluated()
    first = dataclasses.replace(card, image_size=64, temperature=0.05)
    folder = tmp_path_factory.mktemp("rewritten")
    export.write(folder, first, model, variables, ["stablehlo"])
    logits = runtimes.open_stablehlo(folder / "score.stablehlo")(crops)
    low, high = np.quantile(metrics.to_score(logits, 0.05), (0.33, 0.66))
    decisions = {"frame": cards.make_decision((1, float(low), float(high), 1.0))}
    second = dataclasses.replace(first, decisions=decisions)
    export.write(folder, second, model, variables, ["savedmodel"])
    return folder, second, model, variables


def test_labels_are_the_cards_decisions(rewritten, crops):
    import tensorflow

    folder, card, _, _ = rewritten
    served = tensorflow.saved_model.load(str(folder / "saved_model" / "1"))
    found = served.signatures["crops"](image=tensorflow.constant(crops))
    scores = card.score(found["logit"].numpy())
    np.testing.assert_allclose(found["score"].numpy(), scores, atol=1e-6)
    expected = [card.decision("frame").decide(score) for score in scores]
    assert [label.decode() for label in found["label"].numpy()] == expected
    assert set(expected) == {"real", "fake", "inconclusive"}


def test_signatures_name_their_inputs_and_take_any_batch(rewritten):
    import tensorflow

    folder, _, _, _ = rewritten
    served = tensorflow.saved_model.load(str(folder / "saved_model" / "1"))
    inputs = {
        name: [(key, spec.dtype.name, spec.shape.as_list()) for key, spec in each.items()]
        for name, each in (
            (name, function.structured_input_signature[1])
            for name, function in served.signatures.items()
        )
    }
    assert inputs == {
        "serving_default": [("image_bytes", "string", [None])],
        "crops": [("image", "uint8", [None, 40, 40, 3])],
        "float": [("image", "float32", [None, 40, 40, 3])],
    }
    outputs = served.signatures["serving_default"].structured_outputs
    assert {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in outputs.items()} == {
        "score": ("float32", [None]),
        "logit": ("float32", [None]),
        "label": ("string", [None]),
    }
    narrow = tensorflow.constant([image.encode_image(np.zeros((40, 32, 3), np.uint8), "png")])
    with pytest.raises(tensorflow.errors.InvalidArgumentError, match=r"expected shape \[40,40,3\]"):
        served.signatures["serving_default"](image_bytes=narrow)


def test_stablehlo_is_for_every_platform_and_its_heat_maps_are_the_models(rewritten, crops):
    folder, card, model, variables = rewritten
    for name in ("score.stablehlo", "explain.stablehlo"):
        exported = jax.export.deserialize(bytearray((folder / name).read_bytes()))
        assert exported.platforms == ("cpu", "cuda", "tpu")
        assert not isinstance(exported.in_avals[0].shape[0], int)
        assert exported.nr_devices == 1
    found = export.compare(folder, card, model, variables, crops[:16])
    assert found["score.stablehlo"]["stablehlo"]["score"] <= 1e-5
    assert found["explain.stablehlo"]["stablehlo"]["heat_map"] <= 1e-3
    heat = runtimes.open_stablehlo(folder / "explain.stablehlo")(crops)
    assert heat.shape == (33, 2, 2)
    assert np.ptp(heat) > 0.1


def test_jpeg_is_decoded_as_opencv_decodes_it():
    """Pixel by pixel, because a score hardly tells one step of 255."""
    import tensorflow

    decode = export._make_decoder(48)
    smooth = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8).repeat(8, 0)
    crop = smooth.repeat(8, 1)
    for encoding in ("jpeg", "png"):
        data = image.encode_image(crop, encoding)
        found = decode(tensorflow.constant([data, data])).numpy()
        np.testing.assert_array_equal(found[1], image.decode_image(data))


@pytest.mark.skipif(not REAL.is_dir(), reason="DFJAX_TEST_DATA names no real faces")
def test_real_jpegs_are_decoded_as_opencv_decodes_them():
    import tensorflow

    for path in sorted(REAL.rglob("*.jpg"))[:20]:
        side = min(image.read_image(path).shape[:2])
        data = image.encode_image(image.read_image(path)[:side, :side], "jpeg")
        found = export._make_decoder(side)(tensorflow.constant([data])).numpy()
        np.testing.assert_array_equal(found[0], image.decode_image(data))


def test_an_artefact_that_deviates_is_no_export(run, exported, tmp_path, monkeypatch):
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    before = _contents(out)
    rightly = fold.fold

    def fold_wrongly(model, variables):
        return rightly(model.clone(norm_epsilon=0.1), variables)

    monkeypatch.setattr(fold, "fold", fold_wrongly)
    message = r"score.stablehlo by stablehlo deviates .* by \S+ in score \(allowed: 1e-05\)"
    with pytest.raises(ValueError, match=message):
        export.export(run, out, ["stablehlo"])
    assert _contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_not_a_number_is_a_deviation():
    with pytest.raises(ValueError, match=r"model.onnx by onnx deviates from .* by nan in score"):
        export._require_equal({"model.onnx": {"onnx": {"score": float("nan"), "logit": 0.0}}})


def test_a_newer_export_replaces_an_older_one_and_nothing_else(run, exported, tmp_path):
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    report = export.export(run, out, ["stablehlo"])
    assert sorted(path.name for path in out.iterdir()) == [
        "explain.stablehlo",
        "export.json",
        "model_card.json",
        "score.stablehlo",
    ]
    assert report == json.loads((out / "export.json").read_text())
    (out / "thesis.tex").write_text("years of work")
    for taken in (out, run, out / "thesis.tex"):
        before = _contents(taken.parent)
        with pytest.raises(ValueError, match="holds something else than an export: give a new"):
            export.export(run, taken, ["stablehlo"])
        assert _contents(taken.parent) == before


def test_a_model_trained_in_bfloat16_is_exported_in_float32(run, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(run, half)
    config = json.loads((half / "config.json").read_text())
    config["model"]["dtype"] = "bfloat16"
    (half / "config.json").write_text(json.dumps(config))
    report = export.export(half, tmp_path / "out", ["stablehlo"])
    assert report["deviations"]["score.stablehlo"]["stablehlo"]["score"] <= 1e-5


def test_what_cannot_be_exported_is_told_before_anything_is_written(run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for formats in (["onnx", "tflite"], []):
        with pytest.raises(ValueError, match="choose from savedmodel, stablehlo, onnx"):
            export.export(run, out, formats)
    lost = tmp_path / "lost"
    shutil.copytree(run, lost)
    config = json.loads((lost / "config.json").read_text())
    config["data"]["dir"] = "data/faces"
    (lost / "config.json").write_text(json.dumps(config))
    (lost / "dataset.json").write_text("{}")
    with pytest.raises(ValueError, match=r"data/faces, which .* was trained on, is gone: .* again"):
        export.export(lost, out, ["onnx"])
    shutil.copy(run / "config.json", lost)
    (lost / model_card.FILE).unlink()
    with pytest.raises(ValueError, match=r"has no model_card.json: evaluate the run first"):
        export.export(lost, out, ["onnx"])
    # A package that is absent here cannot be: every test needs it.
    there = importlib.util.find_spec
    absent = {"jax2onnx", "openvino"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else there(name)
    )
    message = r'jax2onnx, openvino is not installed: pip install "dfjax\[export\]"'
    with pytest.raises(ValueError, match=message):
        export.export(run, out, ["onnx"])
    assert not out.exists()
