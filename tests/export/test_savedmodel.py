"""The SavedModel: what TensorFlow alone serves, and the pixels and labels that it gives."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from dfjax import logistic, model_card
from dfjax.export import savedmodel
from dfjax.inference import scorer
from dfjax.media import image
from tests import cards

pytestmark = pytest.mark.usefixtures("quick_compilation")

REAL = pathlib.Path(os.environ.get("DFJAX_TEST_DATA", "missing"), "ciplab")

# TensorFlow alone, as a server that knows nothing of this package would use it.
SERVE = """
import json, sys
import tensorflow as tf
path, *pictures = sys.argv[1:]
signature = tf.saved_model.load(path).signatures["serving_default"]
data = [tf.io.read_file(picture) for picture in pictures]
outputs = signature(image_bytes=tf.stack(data))
assert "dfjax" not in sys.modules
print(json.dumps({name: value.numpy().astype(str).tolist() for name, value in outputs.items()}))
"""


def _load(folder: pathlib.Path):
    import tensorflow

    return tensorflow.saved_model.load(str(folder / "saved_model" / savedmodel.VERSION))


def test_it_serves_encoded_crops_without_this_package(exported, crops, tmp_path):
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
    outputs = json.loads(done.stdout)
    decoded = np.stack([image.read_image(picture) for picture in pictures])
    model = scorer.load(exported, "onnx")
    np.testing.assert_allclose(np.float64(outputs["score"]), model.scores(decoded), atol=1e-5)
    np.testing.assert_allclose(np.float64(outputs["logit"]), model.logits(decoded), atol=1e-5)
    decide = model.card.decision("frame").decide
    assert outputs["label"] == [decide(float(score)) for score in outputs["score"]]


def test_signatures_name_their_inputs_and_take_any_batch(exported):
    import tensorflow

    model = _load(exported)
    inputs = {
        signature: [
            (name, spec.dtype.name, spec.shape.as_list())
            for name, spec in function.structured_input_signature[1].items()
        ]
        for signature, function in model.signatures.items()
    }
    assert inputs == {
        "serving_default": [("image_bytes", "string", [None])],
        "crops": [("image", "uint8", [None, 40, 40, 3])],
        "float": [("image", "float32", [None, 40, 40, 3])],
    }
    outputs = model.signatures["serving_default"].structured_outputs
    assert {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in outputs.items()} == {
        "score": ("float32", [None]),
        "logit": ("float32", [None]),
        "label": ("string", [None]),
    }
    narrow = tensorflow.constant([image.encode_image(np.zeros((40, 32, 3), np.uint8), "png")])
    with pytest.raises(tensorflow.errors.InvalidArgumentError, match=r"expected shape \[40,40,3\]"):
        model.signatures["serving_default"](image_bytes=narrow)


def _answers(card: model_card.ModelCard, logits: np.ndarray, folder: pathlib.Path):
    """(scores, labels) by the SavedModel of a network whose first pixel chooses one of `logits`."""
    import tensorflow

    size = card.crop_spec.size

    def predict(variables, crops):
        return {"logit": variables["logits"][crops[:, 0, 0, 0].astype(int)]}

    savedmodel.write(folder / "saved_model", predict, {"logits": logits}, card)
    crops = np.zeros((len(logits), size, size, 3), np.uint8)
    crops[:, 0, 0, 0] = np.arange(len(logits))
    outputs = _load(folder).signatures["crops"](image=tensorflow.constant(crops))
    np.testing.assert_array_equal(outputs["logit"].numpy(), logits)
    return outputs["score"].numpy(), [label.decode() for label in outputs["label"].numpy()]


@pytest.mark.parametrize("temperature", [1.0, 0.05, 1.37])
def test_labels_are_the_cards_decisions_up_to_the_last_bit(run, tmp_path, temperature):
    """At both bounds, at the next float32 on either side of them, and at both ends."""
    bounds = np.array([-0.7368421, 1.1052632], np.float32)
    below, above = np.nextafter(bounds, np.float32(-9)), np.nextafter(bounds, np.float32(9))
    logits = np.sort(np.concatenate([below, bounds, above, np.float32([-1e4, 0, 1e4])]))
    low, high = logistic.to_score(bounds, temperature)
    card = dataclasses.replace(
        model_card.read(run),
        temperature=temperature,
        decisions={"frame": cards.make_decision((1, float(low), float(high), 1.0))},
    )
    scores, labels = _answers(card, logits, tmp_path)
    np.testing.assert_allclose(scores, card.score(logits), rtol=1e-6)
    assert labels == [card.decision("frame").decide(score) for score in card.score(logits)]
    assert labels == ["real"] * 2 + ["inconclusive"] * 4 + ["fake"] * 3


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.5, 0.5, ["real", "real", "fake", "fake"]),  # nothing is undecided
        (0.0, 1.0, ["inconclusive"] * 3 + ["fake"]),  # a score of 1 is all that decides
        (0.0, 0.0, ["fake"] * 4),
        (1.1, 1.1, ["real"] * 4),
    ],
)
def test_bands_at_the_ends_of_the_scores(run, tmp_path, low, high, expected):
    decision = cards.make_decision((1, low, high, 1.0))
    card = dataclasses.replace(model_card.read(run), decisions={"frame": decision})
    logits = np.float32([-1e4, -1, 0, 1e4])
    assert [decision.decide(score) for score in card.score(logits)] == expected
    assert _answers(card, logits, tmp_path)[1] == expected


def test_jpeg_is_decoded_as_opencv_decodes_it():
    """Pixel by pixel: one step of 255 hardly changes a score."""
    import tensorflow

    smooth = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8).repeat(8, 0)
    crop = smooth.repeat(8, 1)
    for encoding in ("jpeg", "png"):
        data = image.encode_image(crop, encoding)
        decoded = savedmodel.decode_crops(tensorflow.constant([data, data]), size=48).numpy()
        np.testing.assert_array_equal(decoded[1], image.decode_image(data))


@pytest.mark.skipif(not REAL.is_dir(), reason="DFJAX_TEST_DATA names no real faces")
def test_real_jpegs_are_decoded_as_opencv_decodes_them():
    import tensorflow

    for path in sorted(REAL.rglob("*.jpg"))[:20]:
        side = min(image.read_image(path).shape[:2])
        data = image.encode_image(image.read_image(path)[:side, :side], "jpeg")
        decoded = savedmodel.decode_crops(tensorflow.constant([data]), size=side).numpy()
        np.testing.assert_array_equal(decoded[0], image.decode_image(data))
