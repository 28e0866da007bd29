"""Layers that several backbones share, with the field's conventions fixed once."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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


def resize(image: jax.Array, size: int) -> jax.Array:
    """Square images [B, S, S, 3] at side `size`: float32 in 0..1, or untouched where S is `size`.

    Averages areas when it shrinks, interpolates linearly when it grows; two matrix products, which
    every runtime computes alike. Uint8 is first brought to 0..1.
    """
    if image.shape[1:3] == (size, size):
        return image
    if image.dtype == jnp.uint8:
        image = image.astype(jnp.float32) / 255.0
    weights = resize_weights(image.shape[1], size)
    rows = jnp.einsum("os,bstc->botc", weights, image, precision="highest")
    return jnp.einsum("pt,botc->bopc", weights, rows, precision="highest")


def resize_weights(old: int, new: int) -> np.ndarray:
    """What each of `old` pixels in a row gives to each of `new`, float32 [new, old].

    As OpenCV's INTER_AREA for new < old, and its INTER_LINEAR for new > old.
    """
    scale = old / new
    if scale > 1:
        left = np.arange(new)[:, None] * scale
        pixel = np.arange(old)[None]
        overlap = np.minimum(left + scale, pixel + 1) - np.maximum(left, pixel)
        return np.float32(overlap.clip(0) / scale)
    centre = ((np.arange(new) + 0.5) * scale - 0.5).clip(0, old - 1)
    return np.float32((1 - np.abs(centre[:, None] - np.arange(old)[None])).clip(0))


def conv(
    features: int, kernel: int, strides: int = 1, *, use_bias: bool = False, **kwargs: Any
) -> nn.Conv:
    """A square convolution, padded by (kernel - 1) // 2 on every side.

    Linen's "SAME" pads a strided convolution one pixel more at the end than at the start;
    weights trained with symmetric padding (torchvision, timm) would see shifted features.
    """
    pad = (kernel - 1) // 2
    return nn.Conv(
        features,
        (kernel, kernel),
        (strides, strides),
        padding=((pad, pad), (pad, pad)),
        use_bias=use_bias,
        **kwargs,
    )


def expose_features(module: nn.Module, x: jax.Array) -> jax.Array:
    """Marks x [B, H, W, C], the last feature maps of `module`, for heat maps; returns x.

    They come out as `intermediates/features`, and their gradient is that of
    `perturbations/features` (see `inference.explain`). Costs nothing where neither is asked for.
    """
    module.sow("intermediates", "features", x)
    return module.perturb("features", x)


def folded_norm(**_: Any) -> Any:
    """In the place of a BatchNorm whose affine map `models.fold` has put into the convolution."""
    return lambda x: x


class BinaryHead(nn.Module):
    """Pooled features [B, C] to one logit of "fake" per row, [B], in float32."""

    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.Dropout(self.dropout, deterministic=not train)(x.astype(jnp.float32))
        return nn.Dense(1, dtype=jnp.float32, name="logit")(x)[:, 0]
