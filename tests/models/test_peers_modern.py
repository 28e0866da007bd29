"""EfficientNet, ConvNeXt and ViT against torchvision and timm: the same weights and numbers."""

import contextlib
import functools
import io
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import vit_l_lntune
from dfjax import models, tree
from dfjax.models import fold, vit
from dfjax.weights import files
from tests.models import modern_peers, peers, pytorch_tensors, small

torch = peers.torch
torchvision = pytest.importorskip("torchvision")
timm = peers.timm

pytestmark = pytest.mark.usefixtures("quick_compilation")

ONE_EACH = (1, 1, 1, 1)


def _timm(name: str, **settings):
    return functools.partial(timm.create_model, name, **settings)


def _torchvision_efficientnet():
    config = functools.partial(
        torchvision.models.efficientnet.MBConvConfig, width_mult=0.25, depth_mult=0.5
    )
    stages = [
        config(1, 3, 1, 32, 16, 1),
        config(6, 3, 2, 16, 24, 2),
        config(6, 5, 2, 24, 40, 2),
        config(6, 3, 2, 40, 80, 3),
        config(6, 5, 1, 80, 112, 3),
        config(6, 5, 2, 112, 192, 4),
        config(6, 3, 1, 192, 320, 1),
    ]
    return torchvision.models.EfficientNet(stages, dropout=0.0, stochastic_depth_prob=0.0)


def _torchvision_convnext():
    config = torchvision.models.convnext.CNBlockConfig
    widths = (96, 192, 384, 768, None)
    return torchvision.models.ConvNeXt(
        [config(inner, outer, 1) for inner, outer in itertools.pairwise(widths)]
    )


def _torchvision_vit():
    return torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64
    )


# What is compared: (our model, fields that differ, the peer, sides of the images). For EfficientNet
# and ConvNeXt an even and an odd side, because padding differs between them; for ViT its native one
# and another.
ANY_SIZE = {"img_size": 64, "dynamic_img_size": True, "weight_init": "skip"}
PEERS = {
    "efficientnet_b4": (
        "efficientnet_b4",
        {},
        functools.partial(torchvision.models.efficientnet_b4, stochastic_depth_prob=0.0),
        (64, 79),
    ),
    "efficientnet of timm": (
        "efficientnet_b0",
        modern_peers.SMALL_EFFICIENTNET,
        modern_peers.timm_efficientnet,
        (64, 79),
    ),
    "tf_efficientnet_b0": (
        "tf_efficientnet_b0",
        modern_peers.SMALL_EFFICIENTNET,
        functools.partial(modern_peers.timm_efficientnet, pad_type="same", bn_eps=1e-3),
        (64, 79),
    ),
    "efficientnet_lite0": (
        "efficientnet_lite0",
        modern_peers.SMALL_EFFICIENTNET,
        modern_peers.timm_lite,
        (64, 79),
    ),
    "convnext of torchvision": (
        "convnext_tiny",
        {"stage_sizes": ONE_EACH},
        _torchvision_convnext,
        (64, 83),
    ),
    "convnext of timm": (
        "convnext_tiny",
        {"stage_sizes": ONE_EACH},
        _timm("convnext_tiny", depths=ONE_EACH),
        (64, 83),
    ),
    "vit_b16": (
        "vit_b16",
        {"native_size": 64},
        _timm("vit_base_patch16_224", **ANY_SIZE),
        (64, 96),
    ),
    "clip_vit_b16": (
        "clip_vit_b16",
        {"depth": 2, "native_size": 64},
        _timm("vit_base_patch16_clip_quickgelu_224", depth=2, **ANY_SIZE),
        (64, 96),
    ),
    "dinov2_vit_s14": (
        "dinov2_vit_s14",
        {"depth": 2, "native_size": 98},
        _timm("vit_small_patch14_dinov2", depth=2, img_size=98, dynamic_img_size=True),
        (98, 56),
    ),
    "vit of torchvision": (
        "vit_b16",
        {**modern_peers.TINY, "native_size": 64},
        _torchvision_vit,
        (64,),
    ),
    "vit, mean": (
        "vit_b16",
        {**modern_peers.TINY, "pool": "mean"},
        functools.partial(modern_peers.tiny_vit, global_pool="avg", fc_norm=False),
        (32, 80),
    ),
    "vit, attention": (
        "vit_b16",
        {**modern_peers.TINY, "pool": "attention", "class_token": False, "gelu": "tanh"},
        functools.partial(
            modern_peers.tiny_vit, global_pool="map", class_token=False, act_layer="gelu_tanh"
        ),
        (32, 80),
    ),
}


def _images(size: int) -> np.ndarray:
    return np.random.default_rng(size).random((4, size, size, 3), np.float32)


def _for_torch(images: np.ndarray, model):
    """Images as the peer takes them, [B, 3, H, W], normalized as our model does."""
    normalized = (images - np.float32(model.mean)) / np.float32(model.std)
    return torch.from_numpy(normalized).permute(0, 3, 1, 2)


def _settle(network, images) -> None:
    """Gives every norm the statistics of what it sees of these images, if there are norms.

    Made-up ones let the signal die or explode on its way through a hundred layers.
    """
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _embedding(network, images):
    """What the peer's last layer is given."""
    if hasattr(network, "forward_head"):
        return network.forward_head(network.forward_features(images), pre_logits=True)
    given = []
    last = (network.heads if hasattr(network, "heads") else network.classifier)[-1]
    with last.register_forward_pre_hook(lambda _, inputs: given.extend(inputs)):
        network(images)
    return given[0]


@pytest.mark.parametrize("key", PEERS)
def test_embedding_is_the_peers(key):
    name, fields, make_peer, sizes = PEERS[key]
    model, network = models.build(name).clone(**fields), peers.random_torch(make_peer())
    embed = jax.jit(functools.partial(model.apply, mutable=["intermediates"]))
    for size in sizes:
        images = _images(size)
        _settle(network, _for_torch(images, model))
        variables, _ = modern_peers.converted(peers.tensors_of(network), model)
        with torch.no_grad():
            expected = _embedding(network, _for_torch(images, model)).numpy()
        _, state = embed(variables, images)
        (found,) = state["intermediates"]["head"]["embedding"]
        assert expected.std(axis=0).max() > 1e-2 * np.abs(expected).max()  # images tell apart
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_shipped_weights_give_the_features_of_timm():
    model, network = models.build("efficientnet_lite0"), timm.create_model("tf_efficientnet_lite0")
    variables, _ = modern_peers.converted(files.read("efficientnet_lite0").tensors, model)
    tensors = pytorch_tensors.as_pytorch(variables, model, "timm")
    missing = network.load_state_dict(
        {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}, strict=False
    ).missing_keys
    assert {name for name in missing if "num_batches" not in name} == {
        "classifier.weight",
        "classifier.bias",
    }
    embed = jax.jit(functools.partial(model.apply, mutable=["intermediates"]))
    for size in (128, 97):
        images = _images(size)
        with torch.no_grad():
            expected = _embedding(network.eval(), _for_torch(images, model)).numpy()
        _, state = embed(variables, images)
        (found,) = state["intermediates"]["head"]["embedding"]
        assert expected.std(axis=0).max() > 0.1
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("number", range(8))
def test_efficientnets_are_built_as_the_peers(number):
    model, tensorflow = (models.build(f"{start}efficientnet_b{number}") for start in ("", "tf_"))
    with torch.device("meta"):
        peer = torchvision.models.get_model(f"efficientnet_b{number}")
        original = timm.create_model(f"tf_efficientnet_b{number}")
    norm = peer.features[0][1]
    assert (model.norm_epsilon, model.norm_momentum) == (norm.eps, 1 - norm.momentum)
    assert tensorflow.norm_epsilon == original.bn1.eps
    assert model.dropout == peer.classifier[0].p
    assert model.stage_sizes == tuple(len(stage) for stage in peer.features[1:-1])
    # With the same fields, the same parameters: those of the first are counted elsewhere.
    fields = ("padding", "norm_epsilon", "norm_momentum")
    assert tensorflow.clone(**{field: getattr(model, field) for field in fields}) == model
    count = sum(p.numel() for p in peer.parameters())
    assert count == sum(p.numel() for p in original.parameters())


@pytest.mark.parametrize("number", range(3))
def test_lite_efficientnets_are_built_as_the_peers(number):
    model = models.build(f"efficientnet_lite{number}")
    with torch.device("meta"):
        peer = timm.create_model(f"tf_efficientnet_lite{number}")
    assert model.norm_epsilon == peer.bn1.eps
    assert model.stage_sizes == tuple(len(stage) for stage in peer.blocks)
    assert model.native_size == peer.pretrained_cfg["input_size"][1]


@pytest.mark.parametrize("name", ["vit_s14", "vit_b14", "vit_l14"])
def test_parameter_count_of_vits_that_nobody_published_is_that_of_timm(name):
    model = models.build(name)
    with torch.device("meta"):
        peer = timm.models.VisionTransformer(
            patch_size=14,
            embed_dim=model.width,
            depth=model.depth,
            num_heads=model.heads,
            num_classes=1,
        )
    params = modern_peers.abstract(model)["params"]
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == sum(parameter.numel() for parameter in peer.parameters())


@pytest.mark.parametrize(
    ("name", "make_peer"),
    [
        ("efficientnet_b0", _torchvision_efficientnet),
        ("efficientnet_lite0", modern_peers.timm_lite),
    ],
)
def test_training_updates_the_statistics_as_the_peer(name, make_peer):
    model = models.build(name).clone(**modern_peers.SMALL_EFFICIENTNET, norm_momentum=0.9)
    network, images = peers.random_torch(make_peer()), _images(64)
    _settle(network, _for_torch(_images(80), model))
    variables, _ = modern_peers.converted(peers.tensors_of(network), model)
    sizes = {}
    for module_name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(
                lambda module, inputs, _, name=module_name: sizes.update(
                    {name: inputs[0].numel() / inputs[0].shape[1]}
                )
            )
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with torch.no_grad():
        network.train()(_for_torch(images, model))
        for name, buffer in network.named_buffers():
            module_name, _, kind = name.rpartition(".")
            if kind == "running_var":  # PyTorch's is unbiased: n / (n - 1) times ours
                kept = 0.9 * before[name]
                buffer.copy_(kept + (buffer - kept) * (1 - 1 / sizes[module_name]))
    expected, _ = modern_peers.converted(peers.tensors_of(network), model)

    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    _, state = jax.jit(train)(variables, images, rngs={"dropout": jax.random.key(0)})
    pairs = zip(
        *(jax.tree.leaves(tree["batch_stats"]) for tree in (state, expected, variables)),
        strict=True,
    )
    moved = []
    for found, wanted, old in pairs:
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
        moved.append(np.abs(wanted - old).max() / np.abs(old).max())
    assert np.median(moved) > 1e-3


@pytest.mark.parametrize(("old", "new"), [(16, 16), (37, 16), (14, 20), (5, 7), (7, 5)])
def test_positions_are_resampled_as_pillow_and_pytorch_do(old, new):
    table = np.random.default_rng(0).random((old, 3), np.float32)
    rows = torch.from_numpy(table).T[None, :, :, None].expand(-1, -1, -1, 4)
    expected = torch.nn.functional.interpolate(rows, (new, 4), mode="bicubic", antialias=True)
    found = vit.cubic_weights(old, new) @ table
    np.testing.assert_allclose(found, expected[0, :, :, 0].T, atol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"pool": "attention"}])
def test_the_rules_of_the_config_move_the_norms_and_the_head_alone(fields):
    config = vit_l_lntune.get_config()
    params = modern_peers.abstract(small.build(config.model.name, **fields))["params"]
    moving = set()
    for name in tree.leaf_names(params):
        matches = (f for pattern, f in config.optimizer.lr_rules if re.fullmatch(pattern, name))
        if next(matches) > 0:
            moving.add(name)
    # Only norms have a scale, and a bias next to it.
    scales = [n.removesuffix("scale") for n in tree.leaf_names(params) if n.endswith("/scale")]
    norms = {f"{start}{kind}" for start in scales for kind in ("scale", "bias")}
    assert moving == norms | {"head/logit/kernel", "head/logit/bias"}
    assert len(scales) == (7 if fields else 6)


def test_settings_that_do_not_fit_are_refused():
    image = jnp.zeros((1, 64, 64, 3))

    def build(name: str = "vit_b16", **fields):
        return jax.eval_shape(small.build(name, **fields).init, jax.random.key(0), image)

    with pytest.raises(ValueError, match="pool 'max' and gelu 'exact': choose pool from token"):
        build(pool="max")
    with pytest.raises(ValueError, match='pool "token" needs class_token'):
        build(class_token=False)
    with pytest.raises(ValueError, match="width 32 must be a multiple of heads 3"):
        build(heads=3)
    with pytest.raises(
        ValueError, match="padding 'round': choose symmetric, same, valid or a number"
    ):
        build("efficientnet_b0", padding="round")


# (our model, fields that differ, side of the images)
EXPORTED = [
    ("efficientnet_b0", {}, 45),
    ("tf_efficientnet_b0", {}, 45),
    ("efficientnet_lite0", {}, 45),
    ("convnext_tiny", {"layer_scale": 0.5}, 64),
    ("vit_b16", {}, 48),
    ("clip_vit_b16", {"pool": "mean"}, 48),
    ("dinov2_vit_b14", {"pool": "attention", "layer_scale": 0.5, "gelu": "tanh"}, 48),
]


@pytest.mark.parametrize(("name", "fields", "size"), EXPORTED)
def test_onnx_runtime_gives_the_logits_of_the_unfolded_model(name, fields, size):
    jax2onnx = pytest.importorskip("jax2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = small.build(name, **fields)
    rng = np.random.default_rng(0)
    ranges = {"scale": (0.5, 1.2), "bias": (-0.3, 0.3), "mean": (-0.3, 0.3), "var": (0.1, 0.4)}

    def draw(path, leaf):
        bound = np.sqrt(3 / np.prod(leaf.shape[:-1]))
        low, high = ranges.get(path[-1].key, (-bound, bound))
        return np.float32(rng.uniform(low, high, leaf.shape))

    variables = jax.tree_util.tree_map_with_path(draw, modern_peers.abstract(model))
    images = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), np.uint8)
    images //= np.array([1, 2, 4], np.uint8).reshape(3, 1, 1, 1)  # no two alike
    expected = jax.jit(model.apply)(variables, images)
    assert np.ptp(expected) > 1e-2

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
    for batch in (3, 1):
        (found,) = session.run(None, {"image": images[:batch]})
        np.testing.assert_allclose(found, expected[:batch], atol=1e-4 * np.abs(expected).max())
