"""Weights of EfficientNet-Lite and ViT by the names of Hugging Face, big_vision and others.

The names are those of their files: weights of timm, renamed here, have to become the same
variables.
"""

import re

import jax
import numpy as np
import pytest

from dfjax import models
from dfjax.errors import UserError
from tests.models import modern_peers, peers


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
    expected, _ = modern_peers.converted(tensors, model)
    found, transfer = modern_peers.converted(renamed, model)
    assert transfer.library == library
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    return set(transfer.dropped)


def test_names_of_efficientnet_lite_pytorch():
    tensors = peers.tensors_of(peers.random_torch(modern_peers.timm_lite()))
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
    model = models.build("efficientnet_lite0").clone(**modern_peers.SMALL_EFFICIENTNET)
    dropped = _assert_same(tensors, renamed, model, "efficientnet_lite_pytorch")
    assert {name for name in dropped if "num_batches" not in name} == {"_fc.weight", "_fc.bias"}
    with pytest.raises(UserError, match=r"_blocks\.0\._se_reduce\.weight is unknown"):
        modern_peers.converted({**renamed, "_blocks.0._se_reduce.weight": np.zeros(1)}, model)


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
    tensors = peers.tensors_of(peers.random_torch(modern_peers.tiny_vit()))
    renamed = _renamed(tensors, HUGGINGFACE_VIT, "attention.attention.{}")
    renamed = {
        f"{inside}{'layernorm' + name[4:] if name.startswith('norm.') else name}": value
        for name, value in renamed.items()
        if not name.startswith("head.")
    }
    ends = {f"{inside}pooler.dense.weight", "classifier.bias"}
    renamed |= dict.fromkeys(ends, np.zeros(1))
    model = models.build("vit_b16").clone(**modern_peers.TINY)
    assert _assert_same(tensors, renamed, model, "Hugging Face ViT") == ends


def test_names_of_huggingface_dinov2():
    network = peers.random_torch(modern_peers.tiny_vit(init_values=1e-5, num_classes=0))
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
    model = models.build("dinov2_vit_b14").clone(**modern_peers.TINY, patch=16)
    dropped = _assert_same(tensors, renamed, model, "Hugging Face DINOv2")
    assert dropped == {"embeddings.mask_token"}


def test_names_of_huggingface_clip_and_its_text_tower():
    network = peers.random_torch(modern_peers.tiny_vit(pre_norm=True, num_classes=0))
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
    model = models.build("clip_vit_b16").clone(**modern_peers.TINY)
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
    network = peers.random_torch(modern_peers.tiny_vit(global_pool="map", class_token=False))
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
    model = models.build("vit_b16").clone(**modern_peers.TINY, pool="attention", class_token=False)
    dropped = _assert_same(tensors, renamed, model, "big_vision")
    assert dropped == {"head/kernel", "head/bias"}


def test_names_of_the_first_vision_transformer():
    tensors = peers.tensors_of(peers.random_torch(modern_peers.tiny_vit()))
    names = _flax_names("LayerNorm_2", "MultiHeadDotProductAttention_1", "MlpBlock_3")
    names["pos_embed"] = "Transformer/posembed_input/pos_embedding"
    renamed = _as_flax(tensors, names, heads=2)
    model = models.build("vit_b16").clone(**modern_peers.TINY)
    dropped = _assert_same(tensors, renamed, model, "vision_transformer")
    assert dropped == {"head/kernel", "head/bias"}
