"""The convolutional families against torchvision, timm and Keras: the same weights, features."""

import contextlib
import functools
import io
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import models, steps
from dfjax.media import image
from dfjax.models import fold, pooling
from dfjax.weights import convert, files
from tests.models import peers

torch = peers.torch
torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")

pytestmark = pytest.mark.usefixtures("quick_compilation")

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
VGGS = tuple(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn"))
SHALLOW = (1, 1, 1, 1)
# An even and an odd side: paddings and poolings at an edge differ between them.
SIZES = (64, 75)


def _resnext(groups: int, width_per_group: int):
    """One block per stage, of the published width."""
    block = torchvision.models.resnet.Bottleneck
    return torchvision.models.ResNet(block, SHALLOW, groups=groups, width_per_group=width_per_group)


def _narrow_vgg(batch_norm: bool):
    """VGG-11 with an eighth of the channels."""
    vgg = torchvision.models.vgg
    widths = [width if width == "M" else width // 8 for width in vgg.cfgs["A"]]
    with torch.device("meta"):  # the published dense layers are never allocated
        network = vgg.VGG(vgg.make_layers(widths, batch_norm), init_weights=False)
        for index, inputs, outputs in ((0, 64 * 49, 512), (3, 512, 512), (6, 512, 1000)):
            network.classifier[index] = torch.nn.Linear(inputs, outputs)
    return network.to_empty(device="cpu")


# Our fields that differ, and the peer.
PEERS = {
    "resnet18": ({}, torchvision.models.resnet18),
    "resnet50": ({}, torchvision.models.resnet50),
    "resnext50": ({"stage_sizes": SHALLOW}, functools.partial(_resnext, 32, 4)),
    "resnext101": ({"stage_sizes": SHALLOW}, functools.partial(_resnext, 32, 8)),
    "vgg11": ({"width": 8}, functools.partial(_narrow_vgg, batch_norm=False)),
    "vgg16_bn": ({}, functools.partial(torchvision.models.vgg16_bn, init_weights=False)),
    "xception": ({}, functools.partial(timm.create_model, "legacy_xception")),
}


def _published(name: str):
    """The peer at its full size; cheap under `torch.device("meta")`."""
    if name == "xception":
        return timm.create_model("legacy_xception")
    cardinality = {"resnext50": "_32x4d", "resnext101": "_32x8d"}.get(name, "")
    return torchvision.models.get_model(name + cardinality)


def _images(size: int, batch: int = 2) -> np.ndarray:
    return np.random.default_rng(size).random((batch, size, size, 3), np.float32)


def _abstract(model) -> dict:
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    return {name: shapes[name] for name in ("params", "batch_stats") if name in shapes}


def _converted(network, model) -> dict:
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), _abstract(model))
    variables, _ = convert.convert(peers.tensors_of(network), model, like, reinit="head/.*")
    return variables


def _for_torch(images: np.ndarray, model):
    """Images as the peer takes them, [B, 3, H, W], normalized as our model does."""
    normalized = (images - np.float32(model.mean)) / np.float32(model.std)
    return torch.from_numpy(normalized).permute(0, 3, 1, 2)


def _classifier(network):
    """(the module that holds the peer's last layer, the name of that)."""
    if isinstance(network, torchvision.models.VGG):
        return network.classifier, "6"
    return network, "fc"


@pytest.mark.parametrize("name", [*RESNETS, "resnext50", "resnext101", *VGGS, "xception"])
def test_parameter_count_is_the_peers_but_for_the_classifier(name):
    with torch.device("meta"):
        network = _published(name)
    holder, last = _classifier(network)
    features = getattr(holder, last).in_features
    setattr(holder, last, torch.nn.Linear(features, 1, device="meta"))
    expected = sum(parameter.numel() for parameter in network.parameters())
    params = _abstract(models.build(name))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected


@pytest.mark.parametrize("name", PEERS)
def test_embedding_is_the_peers(name):
    fields, make_peer = PEERS[name]
    model = models.build(name).clone(**fields)
    network = peers.random_torch(make_peer())
    variables = _converted(network, model)
    holder, last = _classifier(network)
    setattr(holder, last, torch.nn.Identity())

    embed = jax.jit(functools.partial(model.apply, mutable=["intermediates"]))
    for size in SIZES:
        images = _images(size)
        with torch.no_grad():
            expected = network(_for_torch(images, model)).numpy()
        _, state = embed(variables, images)
        (found,) = state["intermediates"]["head"]["embedding"]
        assert expected.std(axis=0).max() > 1e-3 * np.abs(expected).max()  # images tell apart
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "fields", "make_peer"),
    [
        ("resnet18", {}, torchvision.models.resnet18),
        ("vgg11_bn", {"width": 8}, functools.partial(_narrow_vgg, batch_norm=True)),
        ("xception", {}, functools.partial(timm.create_model, "legacy_xception")),
    ],
)
def test_training_updates_the_statistics_as_the_peer(name, fields, make_peer):
    model = models.build(name).clone(**fields)
    network = peers.random_torch(make_peer())
    variables = _converted(network, model)
    images = _images(64, batch=4)
    before = {n: t.clone() for n, t in network.named_buffers() if n.endswith("running_var")}
    counts = {}
    for norm_name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(
                lambda module, inputs, _, name=norm_name: counts.update(
                    {f"{name}.running_var": inputs[0].numel() / inputs[0].shape[1]}
                )
            )
    with torch.no_grad():
        network.train()(_for_torch(images, model))
        # PyTorch keeps the unbiased variance of the batch, n / (n - 1) of ours.
        for buffer_name, after in network.named_buffers():
            if buffer_name in counts:
                kept, count = 0.9 * before[buffer_name], counts[buffer_name]
                after.copy_(kept + (after - kept) * (count - 1) / count)
    expected = _converted(network, model)["batch_stats"]

    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    _, state = jax.jit(train)(variables, images, rngs={"dropout": jax.random.key(0)})
    for found, wanted in zip(
        jax.tree.leaves(state["batch_stats"]), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (8, 9), (14, 20)])
def test_adaptive_pooling_is_that_of_pytorch(size):
    maps = np.random.default_rng(0).random((2, *size, 3), np.float32)
    expected = torch.nn.functional.adaptive_avg_pool2d(
        torch.from_numpy(maps).permute(0, 3, 1, 2), (7, 7)
    )
    found = pooling.adaptive_average_pool(jnp.asarray(maps), 7)
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), atol=1e-6)


def _keras_mesonet(name: str):
    """The network as its authors publish it, in layers of Keras with random weights."""
    keras = pytest.importorskip("keras")
    keras.utils.clear_session()  # numbers the layers from the beginning
    convolve = functools.partial(keras.layers.Conv2D, padding="same", activation="relu")

    def inception(x, *widths):
        branches = [convolve(widths[0], 1)(x)]
        for width, dilation in zip(widths[1:], (1, 2, 3), strict=True):
            y = convolve(width, 1)(x)
            branches.append(convolve(width, 3, dilation_rate=dilation)(y))
        return keras.layers.Concatenate()(branches)

    def normalize_and_pool(x, window):
        x = keras.layers.BatchNormalization()(x)
        return keras.layers.MaxPooling2D(window, padding="same")(x)

    x = image = keras.layers.Input((256, 256, 3))
    plain = name == "meso4"
    x = normalize_and_pool(convolve(8, 3)(x) if plain else inception(x, 1, 4, 4, 2), 2)
    x = normalize_and_pool(convolve(8, 5)(x) if plain else inception(x, 2, 4, 4, 2), 2)
    x = normalize_and_pool(convolve(16, 5)(x), 2)
    x = normalize_and_pool(convolve(16, 5)(x), 4)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    x = keras.layers.LeakyReLU(negative_slope=0.1)(keras.layers.Dense(16)(x))
    x = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.5)(x))
    network = keras.Model(image, x)

    rng = np.random.default_rng(0)
    ranges = {"gamma": (0.5, 1.2), "moving_variance": (0.1, 0.5)}
    for weight in network.weights:
        fan_in = np.prod(weight.shape[:-1])
        bound = np.sqrt(3 / fan_in) if weight.name == "kernel" else 0.3
        weight.assign(rng.uniform(*ranges.get(weight.name, (-bound, bound)), weight.shape))
    return network


def _keras_tensors(network) -> dict[str, np.ndarray]:
    """What a weight file holds, its layers numbered from 1 ("conv2d_1/kernel")."""
    tensors = {}
    for weight in network.weights:
        layer, kind = weight.path.split("/")
        base, _, number = layer.rpartition("_")
        first = not number.isdigit()
        name = f"{layer}_1" if first else f"{base}_{int(number) + 1}"
        tensors[f"{name}/{kind}"] = weight.numpy()
    return tensors


def _from_keras(tensors, model) -> dict:
    variables, transfer = convert.convert(tensors, model, _abstract(model), reinit="")
    assert not transfer.dropped
    return variables


@pytest.mark.parametrize("name", ["meso4", "mesoinception4"])
def test_mesonet_is_that_of_keras(name):
    model, network = models.build(name), _keras_mesonet(name)
    variables = _from_keras(_keras_tensors(network), model)
    images = _images(256)
    logit = jax.jit(model.apply)(variables, images)
    real = network(images, training=False).numpy()[:, 0]
    assert np.ptp(real) > 1e-3
    np.testing.assert_allclose(jax.nn.sigmoid(-logit), real, atol=1e-4)

    network(images, training=True)
    expected = _from_keras(_keras_tensors(network), model)["batch_stats"]
    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    _, state = jax.jit(train)(variables, images, rngs={"dropout": jax.random.key(0)})
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6),
        state["batch_stats"],
        expected,
    )


def test_published_mesonet_knows_its_own_test_images():
    if "DFJAX_TEST_DATA" not in os.environ:
        pytest.skip("DFJAX_TEST_DATA names no folder of real data")
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "mesonet")
    model = models.build("meso4")
    variables = _from_keras(files.read(folder / "Meso4_DF.h5").tensors, model)
    predict = jax.jit(functools.partial(steps.predict, model=model, image_size=256))
    paths = sorted(folder.glob("test_images/*/*.jpg"))
    assert len(paths) == 4
    for path in paths:
        (logit,) = predict(variables, image.decode_image(path.read_bytes())[None])
        assert (logit > 0) == (path.parent.name == "df"), path.name


# (our model, the fields that make it small, the side of its images)
SMALL = [
    ("resnext50", {"stage_sizes": SHALLOW, "width": 16}, 40),
    ("vgg11_bn", {"width": 4}, 75),
    ("meso4", {}, 75),
    ("mesoinception4", {}, 64),
    (
        "xception",
        {
            "stem_widths": (4, 8),
            "entry_widths": (8, 12, 16),
            "middle_blocks": 1,
            "exit_widths": (16, 24, 32),
        },
        75,
    ),
    ("dfcnn", {}, 64),
]


@pytest.mark.parametrize(("name", "fields", "size"), SMALL)
def test_onnx_runtime_gives_the_logits_of_the_unfolded_model(name, fields, size):
    jax2onnx = pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = models.build(name).clone(**fields)
    rng = np.random.default_rng(0)
    ranges = {"scale": (0.5, 1.2), "bias": (-0.3, 0.3), "mean": (-0.3, 0.3), "var": (0.5, 1.5)}

    def draw(path, leaf):
        bound = np.sqrt(3 / np.prod(leaf.shape[:-1]))
        low, high = ranges.get(path[-1].key, (-bound, bound))
        return np.float32(rng.uniform(low, high, leaf.shape))

    variables = jax.tree_util.tree_map_with_path(draw, _abstract(model))
    images = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), np.uint8)
    expected = jax.jit(model.apply)(variables, images)
    assert np.ptp(expected) > 1e-3

    folded, constants = fold.fold(model, variables)
    with contextlib.redirect_stdout(io.StringIO()), jax.numpy_rank_promotion("allow"):
        exported = jax2onnx.to_onnx(
            functools.partial(folded.apply, constants),
            [jax.ShapeDtypeStruct(("b", size, size, 3), np.uint8)],
            input_names=["image"],
        )
    session = onnxruntime.InferenceSession(
        exported.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"image": images})
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
