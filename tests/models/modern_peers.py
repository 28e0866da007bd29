"""Small peers of EfficientNet and ViT by timm, and their weights as our variables."""

import jax
import jax.numpy as jnp
import numpy as np

from dfjax.weights import convert
from tests.models import peers

timm = peers.timm

# B0 with a quarter of its channels and half of its blocks.
SMALL_EFFICIENTNET = {"width_factor": 0.25, "stage_sizes": (1, 1, 1, 2, 2, 2, 1)}


def timm_efficientnet(**settings):
    return timm.models.efficientnet._gen_efficientnet(
        "efficientnet_b0", channel_multiplier=0.25, depth_multiplier=0.5, **settings
    )


def timm_lite(**settings):
    return timm.models.efficientnet._gen_efficientnet_lite(
        "tf_efficientnet_lite0",
        channel_multiplier=0.25,
        depth_multiplier=0.5,
        pad_type="same",
        bn_eps=1e-3,
        **settings,
    )


TINY = {"width": 32, "depth": 2, "heads": 2, "mlp_width": 64, "native_size": 32}


def tiny_vit(**settings):
    """The peer of `TINY`, for images of any size."""
    fields = {"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}
    return timm.models.VisionTransformer(**{**fields, "dynamic_img_size": True, **settings})


def abstract(model) -> dict:
    side = 4 * getattr(model, "patch", 16)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
    return {name: shapes[name] for name in ("params", "batch_stats") if name in shapes}


def converted(tensors, model):
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), abstract(model))
    return convert.convert(tensors, model, like, reinit="head/.*")
