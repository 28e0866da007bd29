"""Layers that several backbones share, with the field's conventions fixed once."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

INCEPTION_MEAN = INCEPTION_STD = (0.5, 0.5, 0.5)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# As `foreign.register` takes them.
BY_IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
BY_INCEPTION = {"mean": INCEPTION_MEAN, "std": INCEPTION_STD}

# Under a jitted step over a sharded batch the statistics are those of the global batch, because
# the array is global: no axis_name and no synchronisation before evaluation.
BatchNorm = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=1e-5)


def require_size(image: jax.Array, *, at_least: int, multiple_of: int = 1) -> None:
    """Refuses images [B, H, W, 3] of a size that the network cannot take.

    Raises:
      UserError: H or W is less than `at_least`, or no multiple of `multiple_of`.
    """
    height, width = image.shape[1:3]
    if min(height, width) < at_least or height % multiple_of or width % multiple_of:
        step = f", multiples of {multiple_of}" if multiple_of > 1 else ""
        raise UserError(
            f"images of {height} x {width} pixels: this model takes {at_least} x {at_least} "
            f"or more{step}; set data.image_size"
        )


def normalize(
    image: jax.Array,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    dtype: Any,
) -> jax.Array:
    """(image - mean) / std in `dtype`; uint8 images are first brought to 0..1.

    Computed in float32, then rounded: to bfloat16 by 0.13 grey levels in the root mean square and
    0.53 at most, where storing pixels as uint8 has cost 0.29 and 0.5. Convolutions round their
    input to `dtype` in any case.
    """
    unit = 255.0 if image.dtype == jnp.uint8 else 1.0
    scale = 1 / (unit * np.float64(std))
    shift = -np.float64(mean) / np.float64(std)
    # By rows of W * 3 values: runtimes are slow at broadcasting three along so short an axis.
    scale, shift = (np.float32(np.tile(v, image.shape[2]))[None, None] for v in (scale, shift))
    rows = image.astype(jnp.float32).reshape(*image.shape[:2], -1)
    return (rows * scale + shift).reshape(image.shape).astype(dtype)


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


class StochasticDepth(nn.Module):
    """Drops the branch of a residual block for some images of a batch (arXiv:1603.09382).

    Attributes:
      rate: probability in [0, 1) that an image goes without the branch [B, ...] in training; what
        remains is divided by 1 - rate, so that nothing changes afterwards.
    """

    rate: float

    @nn.compact
    def __call__(self, branch: jax.Array, *, train: bool) -> jax.Array:
        axes = tuple(range(1, branch.ndim))
        return nn.Dropout(self.rate, broadcast_dims=axes, deterministic=not train)(branch)


class Affine(nn.Module):
    """scale * x + bias per channel of [B, H, W, C]: a folded norm that follows an activation."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        scale, bias = (v.astype(self.dtype).reshape(1, 1, 1, -1) for v in (scale, bias))
        return x.astype(self.dtype) * scale + bias


def folded_norm(**_: Any) -> Any:
    """In the place of a BatchNorm whose affine map `models.fold` has put into the convolution."""
    return lambda x: x


class BinaryHead(nn.Module):
    """Pooled features [B, C] to one logit of "fake" per row, [B], in float32.

    The features come out as `intermediates/head/embedding` (see `steps.embed`).
    """

    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = x.astype(jnp.float32)
        self.sow("intermediates", "embedding", x)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(1, dtype=jnp.float32, name="logit")(x)[:, 0]
