"""EfficientNet, ConvNeXt and ViT against torchvision and timm: the same weights, the same numbers.

The names of Hugging Face and big_vision, which are not needed for it, are those of their files:
weights of timm, renamed here, have to become the same variables.
"""

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
from dfjax.errors import UserError
from dfjax.models import fold, vit
from dfjax.weights import convert, files
from tests.models import peers, pytorch_tensors, small

torch = peers.torch
torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")

pytestmark = pytest.mark.usefixtures("quick_compilation")

ONE_EACH = (1, 1, 1, 1)


def _timm(name: str, **settings):
    return functools.partial(timm.create_model, name, **settings)


# B0 with a quarter of its channels and half of its blocks.
SMALL_EFFICIENTNET = {"width_factor": 0.25, "stage_sizes": (1, 1, 1, 2, 2, 2, 1)}


def _timm_efficientnet(**settings):
    return timm.models.efficientnet._gen_efficientnet(
        "efficientnet_b0", channel_multiplier=0.25, depth_multiplier=0.5, **settings
    )


def _timm_lite(**settings):
    return timm.models.efficientnet._gen_efficientnet_lite(
        "tf_efficientnet_lite0",
        channel_multiplier=0.25,
        depth_multiplier=0.5,
        pad_type="same",
        bn_eps=1e-3,
        **settings,
    )


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


TINY = {"width": 32, "depth": 2, "heads": 2, "mlp_width": 64, "native_size": 32}


def _tiny_vit(**settings):
    """The peer of `TINY`, for images of any size."""
    fields = {"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}
    return timm.models.VisionTransformer(**{**fields, "dynamic_img_size": True, **settings})


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
    "efficientnet of timm": ("efficientnet_b0", SMALL_EFFICIENTNET, _timm_efficientnet, (64, 79)),
    "tf_efficientnet_b0": (
        "tf_efficientnet_b0",
        SMALL_EFFICIENTNET,
        functools.partial(_timm_efficientnet, pad_type="same", bn_eps=1e-3),
        (64, 79),
    ),
    "efficientnet_lite0": ("efficientnet_lite0", SMALL_EFFICIENTNET, _timm_lite, (64, 79)),
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
    "vit of torchvision": ("vit_b16", {**TINY, "native_size": 64}, _torchvision_vit, (64,)),
    "vit, mean": (
        "vit_b16",
        {**TINY, "pool": "mean"},
        functools.partial(_tiny_vit, global_pool="avg", fc_norm=False),
        (32, 80),
    ),
    "vit, attention": (
        "vit_b16",
        {**TINY, "pool": "attention", "class_token": False, "gelu": "tanh"},
        functools.partial(_tiny_vit, global_pool="map", class_token=False, act_layer="gelu_tanh"),
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


def _abstract(model) -> dict:
    side = 4 * getattr(model, "patch", 16)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
    return {name: shapes[name] for name in ("params", "batch_stats") if name in shapes}


def _converted(tensors, model):
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), _abstract(model))
    return convert.convert(tensors, model, like, reinit="head/.*")


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
        variables, _ = _converted(peers.tensors_of(network), model)
        with torch.no_grad():
            expected = _embedding(network, _for_torch(images, model)).numpy()
        _, state = embed(variables, images)
        (found,) = state["intermediates"]["head"]["embedding"]
        assert expected.std(axis=0).max() > 1e-2 * np.abs(expected).max()  # images tell apart
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_shipped_weights_give_the_features_of_timm():
    model, network = models.build("efficientnet_lite0"), timm.create_model("tf_efficientnet_lite0")
    variables, _ = _converted(files.read("efficientnet_lite0").tensors, model)
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
    params = _abstract(model)["params"]
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == sum(parameter.numel() for parameter in peer.parameters())


@pytest.mark.parametrize(
    ("name", "make_peer"),
    [("efficientnet_b0", _torchvision_efficientnet), ("efficientnet_lite0", _timm_lite)],
)
def test_training_updates_the_statistics_as_the_peer(name, make_peer):
    model = models.build(name).clone(**SMALL_EFFICIENTNET, norm_momentum=0.9)
    network, images = peers.random_torch(make_peer()), _images(64)
    _settle(network, _for_torch(_images(80), model))
    variables, _ = _converted(peers.tensors_of(network), model)
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
    expected, _ = _converted(peers.tensors_of(network), model)

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


def _renamed(tensors, replacements: dict[str, str], qkv: str) -> dict[str, np.ndarray]:
    """timm's tensors by other names; `qkv` is what becomes of "attn.qkv", {} for each of three."""
    renamed = {}
    for name, value in tensors.items():
        for old, new in replacements.items():
            name = name.replace(old, new)
        if "attn.qkv" in name:
            for letter, part in zip(("query", "key", "value"), np.split(value, 3), strict=True):
                renamed[name.replace("attn.qkv", qkv.format(letter))] = part
        else:
            renamed[name] = value
    return renamed


def _assert_same(tensors, renamed, model, library: str):
    """Both become the same variables; returns what was left out of the second."""
    expected, _ = _converted(tensors, model)
    found, transfer = _converted(renamed, model)
    assert transfer.library == library
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    return set(transfer.dropped)


def test_names_of_efficientnet_lite_pytorch():
    tensors = peers.tensors_of(peers.random_torch(_timm_lite()))
    ends = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    ends["classifier"] = "_fc"
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    later = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    later |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    places = [(stage, i) for stage, n in enumerate((1, 1, 1, 2, 2, 2, 1)) for i in range(n)]
    renamed = {}
    for name, value in tensors.items():
        module, _, kind = name.rpartition(".")
        theirs = ends.get(module)
        if module.startswith("blocks"):
            _, stage, index, layer = module.split(".")
            number = places.index((int(stage), int(index)))
            theirs = f"_blocks.{number}.{(first if number == 0 else later)[layer]}"
        renamed[f"{theirs}.{kind}"] = value
    model = models.build("efficientnet_lite0").clone(**SMALL_EFFICIENTNET)
    dropped = _assert_same(tensors, renamed, model, "efficientnet_lite_pytorch")
    assert {name for name in dropped if "num_batches" not in name} == {"_fc.weight", "_fc.bias"}
    with pytest.raises(UserError, match=r"_blocks\.0\._se_reduce\.weight is unknown"):
        _converted({**renamed, "_blocks.0._se_reduce.weight": np.zeros(1)}, model)


HUGGINGFACE_VIT = {
    "blocks.": "encoder.layer.",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
}


@pytest.mark.parametrize("inside", ["", "vit."])
def test_names_of_huggingface_vit(inside):
    tensors = peers.tensors_of(peers.random_torch(_tiny_vit()))
    renamed = _renamed(tensors, HUGGINGFACE_VIT, "attention.attention.{}")
    renamed = {
        f"{inside}{'layernorm' + name[4:] if name.startswith('norm.') else name}": value
        for name, value in renamed.items()
        if not name.startswith("head.")
    }
    ends = {f"{inside}pooler.dense.weight", "classifier.bias"}
    renamed |= dict.fromkeys(ends, np.zeros(1))
    model = models.build("vit_b16").clone(**TINY)
    assert _assert_same(tensors, renamed, model, "Hugging Face ViT") == ends


def test_names_of_huggingface_dinov2():
    network = peers.random_torch(_tiny_vit(init_values=1e-5, num_classes=0))
    tensors = peers.tensors_of(network)
    replacements = {
        "blocks.": "encoder.layer.",
        "attn.proj": "attention.output.dense",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
    }
    renamed = _renamed(tensors, replacements, "attention.attention.{}")
    renamed = {
        "layernorm" + name[4:] if name.startswith("norm.") else name: value
        for name, value in renamed.items()
    }
    renamed["embeddings.mask_token"] = np.zeros((1, 32), np.float32)
    model = models.build("dinov2_vit_b14").clone(**TINY, patch=16)
    dropped = _assert_same(tensors, renamed, model, "Hugging Face DINOv2")
    assert dropped == {"embeddings.mask_token"}


def test_names_of_huggingface_clip_and_its_text_tower():
    network = peers.random_torch(_tiny_vit(pre_norm=True, num_classes=0))
    tensors = peers.tensors_of(network)
    replacements = {
        "blocks.": "encoder.layers.",
        "norm1": "layer_norm1",
        "norm2": "layer_norm2",
        "attn.proj": "self_attn.out_proj",
        "cls_token": "embeddings.class_embedding",
        "pos_embed": "embeddings.position_embedding.weight",
        "patch_embed.proj": "embeddings.patch_embedding",
        "norm_pre": "pre_layrnorm",
    }
    renamed = _renamed(tensors, replacements, "self_attn.{}_proj")
    for letter in ("query", "key", "value"):
        renamed = {k.replace(f"{letter}_proj", f"{letter[0]}_proj"): v for k, v in renamed.items()}
    renamed = {
        f"vision_model.{'post_layernorm' + name[4:] if name.startswith('norm.') else name}": value
        for name, value in renamed.items()
    }
    layer = ["layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"]
    layer += [f"self_attn.{name}_proj" for name in ("q", "k", "v", "out")]
    text = {
        f"encoder.layers.{index}.{name}.{kind}"
        for index in range(12)
        for name in layer
        for kind in ("weight", "bias")
    }
    text |= {"final_layer_norm.weight", "final_layer_norm.bias"}
    text |= {f"embeddings.{name}.weight" for name in ("token_embedding", "position_embedding")}
    assert len(text) == 196
    dropped = {f"text_model.{name}" for name in text}
    dropped |= {"text_projection.weight", "visual_projection.weight", "logit_scale"}
    renamed |= dict.fromkeys(dropped, np.zeros(1))
    renamed["vision_model.embeddings.position_ids"] = np.arange(5)[None]
    model = models.build("clip_vit_b16").clone(**TINY)
    found = _assert_same(tensors, renamed, model, "Hugging Face CLIP")
    assert found == dropped | {"vision_model.embeddings.position_ids"}


# Modules whose outputs Flax has apart for each head, and into what it divides them.
HEADED = {
    "attn.qkv": ("/query", "/key", "/value"),
    "attn_pool.q": ("",),
    "attn_pool.kv": ("/key", "/value"),
}


def _as_flax(tensors, names: dict[str, str], heads: int) -> dict[str, np.ndarray]:
    """timm's tensors in the names and layouts of Flax's own attention; {} is the block's number."""
    flax = {}
    for name, value in tensors.items():
        module, _, kind = name.rpartition(".")
        block, layer = re.fullmatch(r"(?:blocks\.(\d+)\.)?(.*)", module).groups()
        if kind in names:  # no module's own: a token, the positions, the probe
            flax[names[kind]] = value
            continue
        if kind == "weight":
            kind = "scale" if "norm" in layer else "kernel"
            value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        parts = HEADED.get(layer, ("",))
        for part, piece in zip(parts, np.split(value, len(parts), axis=-1), strict=True):
            if layer in HEADED:
                piece = piece.reshape(*piece.shape[:-1], heads, -1)
            elif layer in ("attn.proj", "attn_pool.proj") and kind == "kernel":
                piece = piece.reshape(heads, -1, piece.shape[-1])
            flax[f"{names[layer].format(block)}{part}/{kind}"] = piece
    return flax


def _flax_names(norm2: str, attention: str, mlp: str) -> dict[str, str]:
    block = "Transformer/encoderblock_{}"
    return {
        "cls_token": "cls",
        "patch_embed.proj": "embedding",
        "norm": "Transformer/encoder_norm",
        "head": "head",
        "norm1": f"{block}/LayerNorm_0",
        "norm2": f"{block}/{norm2}",
        "attn.qkv": f"{block}/{attention}",
        "attn.proj": f"{block}/{attention}/out",
        "mlp.fc1": f"{block}/{mlp}/Dense_0",
        "mlp.fc2": f"{block}/{mlp}/Dense_1",
    }


def test_names_of_big_vision():
    network = peers.random_torch(_tiny_vit(global_pool="map", class_token=False))
    tensors = peers.tensors_of(network)
    attention = "MultiHeadDotProductAttention_0"
    names = _flax_names("LayerNorm_1", attention, "MlpBlock_0") | {
        "pos_embed": "pos_embedding",
        "latent": "MAPHead_0/probe",
        "attn_pool.q": f"MAPHead_0/{attention}/query",
        "attn_pool.kv": f"MAPHead_0/{attention}",
        "attn_pool.proj": f"MAPHead_0/{attention}/out",
        "attn_pool.norm": "MAPHead_0/LayerNorm_0",
        "attn_pool.mlp.fc1": "MAPHead_0/MlpBlock_0/Dense_0",
        "attn_pool.mlp.fc2": "MAPHead_0/MlpBlock_0/Dense_1",
    }
    renamed = _as_flax(tensors, names, heads=2)
    assert renamed[
        "Transformer/encoderblock_1/MultiHeadDotProductAttention_0/key/kernel"
    ].shape == (
        32,
        2,
        16,
    )
    model = models.build("vit_b16").clone(**TINY, pool="attention", class_token=False)
    dropped = _assert_same(tensors, renamed, model, "big_vision")
    assert dropped == {"head/kernel", "head/bias"}


def test_names_of_the_first_vision_transformer():
    tensors = peers.tensors_of(peers.random_torch(_tiny_vit()))
    names = _flax_names("LayerNorm_2", "MultiHeadDotProductAttention_1", "MlpBlock_3")
    names["pos_embed"] = "Transformer/posembed_input/pos_embedding"
    renamed = _as_flax(tensors, names, heads=2)
    model = models.build("vit_b16").clone(**TINY)
    dropped = _assert_same(tensors, renamed, model, "vision_transformer")
    assert dropped == {"head/kernel", "head/bias"}


@pytest.mark.parametrize("fields", [{}, {"pool": "attention"}])
def test_the_rules_of_the_config_move_the_norms_and_the_head_alone(fields):
    config = vit_l_lntune.get_config()
    params = _abstract(small.build(config.model.name, **fields))["params"]
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

    variables = jax.tree_util.tree_map_with_path(draw, _abstract(model))
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
