"""Layers that several backbones share, with the field's conventions fixed once."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Under a jitted step over a sharded batch the statistics are those of the global batch, because
# the array is global: no axis_name and no synchronisation before evaluation.
BatchNorm = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)


def normalize(
    image: jax.Array,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    dtype: Any,
) -> jax.Array:
    """(image - mean) / std in `dtype`; uint8 images are first brought to 0..1."""
    if image.dtype == jnp.uint8:
        image = image.astype(jnp.float32) / 255.0
    mean, std = (jnp.asarray(v, jnp.float32).reshape(1, 1, 1, 3) for v in (mean, std))
    return ((image - mean) / std).astype(dtype)


def conv(features: int, kernel: int, strides: int = 1, **kwargs: Any) -> nn.Conv:
    """A square convolution without bias, padded by (kernel - 1) // 2 on every side.

    Linen's "SAME" pads a strided convolution one pixel more at the end than at the start;
    weights trained with symmetric padding (torchvision, timm) would see shifted features.
    """
    pad = (kernel - 1) // 2
    return nn.Conv(
        features,
        (kernel, kernel),
        (strides, strides),
        padding=((pad, pad), (pad, pad)),
        use_bias=False,
        **kwargs,
    )


class BinaryHead(nn.Module):
    """Pooled features [B, C] to one logit of "fake" per row, [B], in float32."""

    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.Dropout(self.dropout, deterministic=not train)(x.astype(jnp.float32))
        return nn.Dense(1, dtype=jnp.float32, name="logit")(x)[:, 0]
