"""What other libraries call the layers of a `vit.VisionTransformer`; see `models.key_names`.

"Hugging Face" means the names in published files: transformers 5 changes them when it loads a file,
and changes them back when it saves one. Two kinds of big_vision's weights do not fit: those whose
class token has no position, and those with sine-cosine positions, which are not in the file.
"""

from collections.abc import Mapping, Sequence

from dfjax.models import key_names, layers
from dfjax.models.vit import VisionTransformer


def _block_names(
    model: VisionTransformer, theirs: str, same: Mapping[str, str], qkv: Sequence[str] = ()
) -> key_names.Names:
    """The names of all blocks: theirs begin with `theirs`, where {} is the block's number.

    `same` maps modules and leaves of one block from theirs to ours; `qkv` are the modules of query,
    key and value in libraries that separate them.
    """
    names: key_names.Names = {}
    for index in range(model.depth):
        start, block = theirs.format(index), f"block{index + 1}"
        names |= {f"{start}{name}": f"{block}/{ours}" for name, ours in same.items()}
        for part, name in enumerate(qkv):
            names[f"{start}{name}"] = key_names.Part(f"{block}/attention/qkv", part, 3)
    return names


@key_names.register(VisionTransformer, "timm")
def _timm_names(model: VisionTransformer) -> key_names.Names:
    names: key_names.Names = {
        "cls_token": "class_token",
        "pos_embed": "position_embedding",
        "patch_embed.proj": "patch_embedding",
        "norm_pre": "norm_pre",
        "norm": "norm",
        "attn_pool.latent": "pool/probe",
        "attn_pool.q": "pool/query",
        "attn_pool.kv": "pool/key_value",
        "attn_pool.proj": "pool/project",
        "attn_pool.norm": "pool/norm",
        "attn_pool.mlp.fc1": "pool/mlp/fc1",
        "attn_pool.mlp.fc2": "pool/mlp/fc2",
        "head": None,
        "mask_token": None,  # in the files of DINOv2 itself, which has timm's names
    }
    block = {
        "norm1": "norm1",
        "norm2": "norm2",
        "attn.qkv": "attention/qkv",
        "attn.proj": "attention/project",
        "mlp.fc1": "mlp/fc1",
        "mlp.fc2": "mlp/fc2",
        "ls1.gamma": "layer_scale1",
        "ls2.gamma": "layer_scale2",
    }
    return names | _block_names(model, "blocks.{}.", block)


@key_names.register(VisionTransformer, "torchvision", layers.BY_IMAGENET)
def _torchvision_names(model: VisionTransformer) -> key_names.Names:
    names: key_names.Names = {
        "class_token": "class_token",
        "conv_proj": "patch_embedding",
        "encoder.pos_embedding": "position_embedding",
        "encoder.ln": "norm",
        "heads.head": None,
    }
    block = {
        "ln_1": "norm1",
        "ln_2": "norm2",
        "self_attention.in_proj_weight": "attention/qkv/kernel",
        "self_attention.in_proj_bias": "attention/qkv/bias",
        "self_attention.out_proj": "attention/project",
        "mlp.0": "mlp/fc1",
        "mlp.3": "mlp/fc2",
        # As the published files have them, which torchvision renames when it loads them.
        "mlp.linear_1": "mlp/fc1",
        "mlp.linear_2": "mlp/fc2",
    }
    return names | _block_names(model, "encoder.layers.encoder_layer_{}.", block)


@key_names.register(VisionTransformer, "big_vision", layers.BY_INCEPTION)
def _big_vision_names(model: VisionTransformer) -> key_names.Names:
    names = _flax_names(model, "LayerNorm_1", "MultiHeadDotProductAttention_0", "MlpBlock_0")
    attention = "MAPHead_0/MultiHeadDotProductAttention_0"
    return names | {
        "pos_embedding": "position_embedding",
        "MAPHead_0/probe": "pool/probe",
        f"{attention}/query": "pool/query",
        f"{attention}/key": key_names.Part("pool/key_value", 0, 2),
        f"{attention}/value": key_names.Part("pool/key_value", 1, 2),
        f"{attention}/out": "pool/project",
        "MAPHead_0/LayerNorm_0": "pool/norm",
        "MAPHead_0/MlpBlock_0/Dense_0": "pool/mlp/fc1",
        "MAPHead_0/MlpBlock_0/Dense_1": "pool/mlp/fc2",
    }


@key_names.register(VisionTransformer, "vision_transformer", layers.BY_INCEPTION)
def _vision_transformer_names(model: VisionTransformer) -> key_names.Names:
    # Early Flax numbered all layers of a block in one sequence.
    names = _flax_names(model, "LayerNorm_2", "MultiHeadDotProductAttention_1", "MlpBlock_3")
    return names | {"Transformer/posembed_input/pos_embedding": "position_embedding"}


def _flax_names(
    model: VisionTransformer, second_norm: str, attention: str, mlp: str
) -> key_names.Names:
    names: key_names.Names = {
        "cls": "class_token",
        "embedding": "patch_embedding",
        "Transformer/encoder_norm": "norm",
        "pre_logits": None,
        "head": None,
    }
    block = {
        "LayerNorm_0": "norm1",
        second_norm: "norm2",
        f"{attention}/out": "attention/project",
        f"{mlp}/Dense_0": "mlp/fc1",
        f"{mlp}/Dense_1": "mlp/fc2",
    }
    qkv = [f"{attention}/{name}" for name in ("query", "key", "value")]
    return names | _block_names(model, "Transformer/encoderblock_{}/", block, qkv)


@key_names.register(VisionTransformer, "Hugging Face ViT")
def _huggingface_vit_names(model: VisionTransformer) -> key_names.Names:
    block = {
        "layernorm_before": "norm1",
        "layernorm_after": "norm2",
        "attention.output.dense": "attention/project",
        "intermediate.dense": "mlp/fc1",
        "output.dense": "mlp/fc2",
    }
    names: key_names.Names = {"classifier": None}
    for network in ("", "vit."):  # alone, and inside a classifier
        names |= _huggingface_names(model, network, block)
        names[f"{network}pooler.dense"] = None
    return names


@key_names.register(VisionTransformer, "Hugging Face DINOv2")
def _huggingface_dinov2_names(model: VisionTransformer) -> key_names.Names:
    block = {
        "norm1": "norm1",
        "norm2": "norm2",
        "attention.output.dense": "attention/project",
        "mlp.fc1": "mlp/fc1",
        "mlp.fc2": "mlp/fc2",
        "layer_scale1.lambda1": "layer_scale1",
        "layer_scale2.lambda1": "layer_scale2",
    }
    names: key_names.Names = {"classifier": None}
    for network in ("", "dinov2."):
        names |= _huggingface_names(model, network, block)
        names[f"{network}embeddings.mask_token"] = None
    return names


def _huggingface_names(
    model: VisionTransformer, network: str, block: Mapping[str, str]
) -> key_names.Names:
    names: key_names.Names = {
        f"{network}embeddings.cls_token": "class_token",
        f"{network}embeddings.position_embeddings": "position_embedding",
        f"{network}embeddings.patch_embeddings.projection": "patch_embedding",
        f"{network}layernorm": "norm",
    }
    qkv = [f"attention.attention.{name}" for name in ("query", "key", "value")]
    return names | _block_names(model, f"{network}encoder.layer.{{}}.", block, qkv)


@key_names.register(VisionTransformer, "Hugging Face CLIP")
def _huggingface_clip_names(model: VisionTransformer) -> key_names.Names:
    block = {
        "layer_norm1": "norm1",
        "layer_norm2": "norm2",
        "self_attn.out_proj": "attention/project",
        "mlp.fc1": "mlp/fc1",
        "mlp.fc2": "mlp/fc2",
    }
    qkv = [f"self_attn.{name}_proj" for name in "qkv"]
    names: key_names.Names = {}
    for network in ("", "vision_model."):  # alone, and next to the text encoder
        names |= {
            f"{network}embeddings.class_embedding": "class_token",
            f"{network}embeddings.patch_embedding": "patch_embedding",
            f"{network}embeddings.position_embedding.weight": "position_embedding",
            f"{network}embeddings.position_ids": None,
            f"{network}pre_layrnorm": "norm_pre",  # their spelling
            f"{network}post_layernorm": "norm",
        }
        names |= _block_names(model, f"{network}encoder.layers.{{}}.", block, qkv)
    return names | _huggingface_text_names([*block, *qkv])


def _huggingface_text_names(block: Sequence[str]) -> key_names.Names:
    """The text encoder, dropped: 196 tensors (197 in older files) and the three that join both."""
    names = [
        "logit_scale",
        "text_projection",
        "visual_projection",
        "text_model.embeddings.token_embedding",
        "text_model.embeddings.position_embedding",
        "text_model.embeddings.position_ids",
        "text_model.final_layer_norm",
    ]
    names += [f"text_model.encoder.layers.{index}.{name}" for index in range(12) for name in block]
    return dict.fromkeys(names)
