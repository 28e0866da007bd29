"""The network of dlib against dlib itself, from the same file."""

import contextlib
import csv
import functools
import io
import os
import pathlib

import dlib
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import models, recognition
from dfjax.faces import detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image
from dfjax.models import dlib_resnet
from dfjax.weights import dlib_file

pytestmark = pytest.mark.usefixtures("quick_compilation")

CHIP = 150  # pixels


@pytest.fixture(scope="module")
def network_file() -> bytes:
    return pathlib.Path(detect.embedding_file()).read_bytes()


@pytest.fixture(scope="module")
def embedder():
    return recognition.FaceEmbedder()


def _assert_same_descriptors(chips: np.ndarray, embedder: recognition.FaceEmbedder) -> None:
    network = dlib.face_recognition_model_v1(detect.embedding_file())
    expected = np.array([network.compute_face_descriptor(chip) for chip in chips])
    found = embedder.embed(chips)
    np.testing.assert_allclose(embedder.embed(chips[1:2]), found[1:2], rtol=0, atol=1e-6)
    assert np.abs(expected - expected[:1]).max() > 0.05  # the chips tell apart
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_descriptors_are_those_of_dlib(embedder):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, CHIP, CHIP, 3), np.uint8)
    rows, columns = np.mgrid[:CHIP, :CHIP]
    disc = (rows - 70) ** 2 + (columns - 60) ** 2 < 45**2
    drawn = np.where(disc[..., None], np.uint8([220, 170, 140]), np.uint8([40, 60, 90]))
    chips = np.concatenate([noise, drawn[None], drawn[None, ::-1, ::-1]])
    _assert_same_descriptors(chips, embedder)


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real faces")
def test_real_faces_have_the_descriptors_of_dlib(embedder):
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "studio")
    with (folder / "manifest.csv").open(newline="") as file:
        people = {row["identity"]: folder / row["path"] for row in csv.DictReader(file)}
    finder = detect.FaceDetector(CropSpec())
    network = dlib.face_recognition_model_v1(detect.embedding_file())
    chips, expected = [], []
    for path in list(people.values())[:40]:  # more than a batch
        picture = image.read_image(path)
        face = finder.detect(picture)[0]
        box = dlib.rectangle(*np.rint(face.box).astype(int).tolist())
        points = [dlib.point(*point) for point in np.rint(face.landmarks).astype(int).tolist()]
        shape = dlib.full_object_detection(box, points)
        expected.append(network.compute_face_descriptor(picture, shape))
        chips.append(detect.face_chip(picture, face))
    assert len(chips) > recognition.BATCH
    np.testing.assert_allclose(embedder.embed(np.array(chips)), expected, rtol=0, atol=1e-5)


def test_least_size_is_the_least_that_dlib_could_take():
    model = models.build("dlib_resnet")
    with pytest.raises(ValueError, match="102 x 103 pixels: this model takes 103 x 103 or more"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 102, 103, 3)))
    # Windows that are not padded, by dlib's formula: no convolution may be left without one.
    side = 103
    for window in (7, 3):
        side = (side - window) // 2 + 1
    for _ in range(4):
        assert (side - 3) // 2 + 1 >= 1
        side = side // 2
    _, state = jax.eval_shape(
        functools.partial(model.init_with_output, mutable=True),
        jax.random.key(0),
        jnp.zeros((1, 103, 103, 3)),
    )
    assert state["intermediates"]["features"][0].shape == (1, side, side, 256)


def test_padding_of_a_downsampling_block_is_at_the_end():
    # 10 pixels: the branch gives 4, the shortcut 5; 2 channels become 3.
    block = dlib_resnet.Block(
        filters=3,
        downsample=True,
        drop_rate=0.0,
        dtype=jnp.float32,
        form="plain",
        last_init=jax.nn.initializers.zeros,
    )
    x = jnp.asarray(np.random.default_rng(0).random((1, 10, 10, 2), np.float32))
    variables = block.init(jax.random.key(0), x, train=False)
    variables["params"]["conv2"]["bias"] = jnp.ones(3)
    y = block.apply(variables, x, train=False)
    pooled = x.reshape(1, 5, 2, 5, 2, 2).mean((2, 4))
    expected = np.zeros((1, 5, 5, 3), np.float32)
    expected[..., :2] = pooled
    expected[:, :4, :4] += 1
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_onnx_runtime_gives_the_logits():
    jax2onnx = pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    size = 75  # feature maps of 17, 8 and 4 pixels: the last needs padding
    model = models.build(
        "dlib_resnet", stage_sizes=(1, 1, 1), widths=(4, 8, 8), zero_init_residual=False
    )
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    variables = {"params": jax.jit(model.init)(jax.random.key(0), images)["params"]}
    expected = jax.jit(model.apply)(variables, images)
    assert np.ptp(expected) > 1e-3
    with contextlib.redirect_stdout(io.StringIO()), jax.numpy_rank_promotion("allow"):
        exported = jax2onnx.to_onnx(
            functools.partial(model.apply, variables),
            [jax.ShapeDtypeStruct(("b", size, size, 3), np.uint8)],
            input_names=["image"],
        )
    session = onnxruntime.InferenceSession(
        exported.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"image": images})
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("length", [0, 3, 17, 300, 345, 19_400, 22_466_000, 22_466_065])
def test_a_truncated_network_is_refused(network_file, length):
    with pytest.raises(ValueError, match=f"it ends at byte {length}, inside the network"):
        dlib_file.parse(network_file[:length])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({1: 7}, "the loss layer is 7, and only 1 is known"),
        ({4: ord("x")}, "the loss is 'xoss_metric_2', and only 'loss_metric_2'"),
        ({342: 3}, "a tensor is 3, and only 2 is known"),
        ({343: 9}, "not an integer at byte 343"),
        ({345: 0xFF, 347: 0xFF}, "it ends at byte 22466066"),  # 17 million numbers
        ({30: 9}, "a layer of version 9"),
    ],
)
def test_a_damaged_network_is_refused(network_file, changes, message):
    damaged = bytearray(network_file)
    for position, byte in changes.items():
        damaged[position] = byte
    with pytest.raises(ValueError, match=message):
        dlib_file.parse(bytes(damaged))


def test_bytes_after_the_network_are_refused(network_file):
    with pytest.raises(ValueError, match="more bytes after its end at 22466066"):
        dlib_file.parse(network_file + b"\0")
