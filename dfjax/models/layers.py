"""Layers that several backbones share, with the field's conventions fixed once."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax.errors import UserError
from dfjax.models import cpu_forms, cpu_norm

FORMS = ("plain", "cpu")  # see `backbone.Backbone`

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

INCEPTION_MEAN = INCEPTION_STD = (0.5, 0.5, 0.5)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# As `key_names.register` takes them.
BY_IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
BY_INCEPTION = {"mean": INCEPTION_MEAN, "std": INCEPTION_STD}

he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def require_size(image: jax.Array, *, at_least: int, multiple_of: int = 1) -> None:
    """Refuses images [B, H, W, 3] of a size that the network cannot take.

    Raises:
      UserError: H or W is less than `at_least`, or not a multiple of `multiple_of`.
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
    """Returns (image - mean) / std in `dtype`; uint8 images are first divided by 255.

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
    """Returns square images [B, S, S, 3] at side `size`, float32 in 0..1; unchanged if S is `size`.

    Averages areas when it shrinks, interpolates linearly when it grows; two matrix products, which
    every runtime computes alike. Uint8 images are first divided by 255.
    """
    if image.shape[1:3] == (size, size):
        return image
    if image.dtype == jnp.uint8:
        image = image.astype(jnp.float32) / 255.0
    weights = resize_weights(image.shape[1], size)
    rows = jnp.einsum("os,bstc->botc", weights, image, precision="highest")
    return jnp.einsum("pt,botc->bopc", weights, rows, precision="highest")


def resize_weights(old: int, new: int) -> np.ndarray:
    """The weight of each of `old` pixels of a row in each of `new`, float32 [new, old].

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
    features: int,
    kernel: int,
    strides: int = 1,
    *,
    form: str,
    padding: str | int = "symmetric",
    use_bias: bool = False,
    **kwargs: Any,
) -> nn.Conv:
    """A square convolution; every network's convolutions are made here.

    Args:
      features: channels of the output.
      kernel, strides: of both axes.
      form: see `backbone.Backbone`; the parameters are the same in every form.
      padding: rows and columns on every side; or "symmetric", (kernel - 1) // 2 of them; "same" as
        TensorFlow pads: enough for ceil(size / strides) outputs, the odd pixel at the end; "valid",
        none. Weights that were trained with one of them see shifted features with another.
      use_bias, kwargs: fields of `nn.Conv`.

    Raises:
      UserError: an unknown form or padding.
    """
    if padding == "symmetric":
        padding = (kernel - 1) // 2
    if padding not in ("same", "valid") and not isinstance(padding, int):
        raise UserError(f"padding {padding!r}: choose symmetric, same, valid or a number")
    return nn.Conv(
        features,
        (kernel, kernel),
        (strides, strides),
        padding=padding if isinstance(padding, int) else padding.upper(),
        use_bias=use_bias,
        conv_general_dilated=_convolution(form),
        **kwargs,
    )


def dense(features: int, *, form: str, **kwargs: Any) -> nn.Dense:
    """A matrix product over the last axis; for `form` see `backbone.Backbone`.

    `kwargs` are fields of `nn.Dense`.
    """
    require_form(form)
    product = cpu_forms.dot_general if form == "cpu" else None
    return nn.Dense(features, dot_general=product, **kwargs)


def _convolution(form: str) -> Callable[..., jax.Array] | None:
    """What computes the convolutions of a form; None: Linen's own."""
    require_form(form)
    return cpu_forms.conv_general_dilated if form == "cpu" else None


def require_form(form: str) -> None:
    """Raises UserError unless `form` is one of `FORMS`."""
    if form not in FORMS:
        raise UserError(f"form {form!r}: choose one of {', '.join(FORMS)}")


def batch_norm(
    *,
    train: bool,
    folded: bool,
    form: str,
    epsilon: float,
    dtype: jnp.dtype,
    momentum: float = 0.9,
) -> Callable[..., Callable[[jax.Array], jax.Array]]:
    """Returns what makes the BatchNorms of a network; of a folded one, they do nothing.

    `models.fold` puts the norm named bnX into the convolution named convX, which then needs a bias.
    """
    if folded:
        return _no_norm
    if train and form == "cpu":
        return functools.partial(
            cpu_norm.BatchNorm, momentum=momentum, epsilon=epsilon, dtype=dtype
        )
    # Under a jitted step over a sharded batch the statistics are those of the global batch, because
    # the array is global: no axis_name and no synchronization before evaluation.
    return functools.partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=momentum,
        epsilon=epsilon,
        dtype=dtype,
    )


def _no_norm(**_: Any) -> Callable[[jax.Array], jax.Array]:
    return lambda x: x


def remat_if(remat: bool, block: type[nn.Module]) -> type[nn.Module]:
    """Returns a block, called as block(...)(x, train), that keeps no activations if `remat`."""
    return nn.remat(block, static_argnums=(2,)) if remat else block


def drop_rates(last: float, count: int) -> Iterator[float]:
    """Yields the rates of `StochasticDepth` of `count` blocks, in equal steps from 0 to `last`."""
    return iter(np.linspace(0, last, count).tolist())


def expose_features(module: nn.Module, x: jax.Array) -> jax.Array:
    """Marks x [B, H, W, C], the last feature maps of `module`, for heat maps; returns x.

    They appear as `intermediates/features`, and their gradient as that of
    `perturbations/features` (see `inference.explain`). Costs nothing unless one of them is mutable.
    """
    module.sow("intermediates", "features", x)
    return module.perturb("features", x)


class StochasticDepth(nn.Module):
    """Drops the branch of a residual block for some images of a batch (arXiv:1603.09382).

    Attributes:
      rate: probability in [0, 1) that training drops the branch [B, ...] for an image; the rest is
        divided by 1 - rate, so that the mean is the same without dropping.
    """

    rate: float

    @nn.compact
    def __call__(self, branch: jax.Array, *, train: bool) -> jax.Array:
        axes = tuple(range(1, branch.ndim))
        return nn.Dropout(self.rate, broadcast_dims=axes, deterministic=not train)(branch)


class Affine(nn.Module):
    """scale * x + bias per channel of [B, H, W, C]: a folded norm that follows an activation.

    Attributes:
      dtype: compute type.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        scale, bias = (v.astype(self.dtype).reshape(1, 1, 1, -1) for v in (scale, bias))
        return x.astype(self.dtype) * scale + bias


class GatedAttention(nn.Module):
    """Features of frames [..., C] to how much each counts in its clip, as a logarithm [...].

    The gated attention of Ilse et al. 2018 (arXiv:1802.04712, equation 9), without its softmax, so
    that a frame can be looked at by itself. At first every frame counts alike.

    Attributes:
      units: features that are looked at.
    """

    units: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        dense = functools.partial(nn.Dense, self.units, dtype=jnp.float32)
        x = jnp.tanh(dense(name="content")(x)) * jax.nn.sigmoid(dense(name="gate")(x))
        weigh = nn.Dense(
            1, use_bias=False, dtype=jnp.float32, kernel_init=nn.initializers.zeros, name="weight"
        )
        return weigh(x)[..., 0]


class BinaryHead(nn.Module):
    """Pooled features [..., C] to one logit of "fake" per row, [...], in float32.

    The features appear as `intermediates/head/embedding` (see `steps.embed`), and what
    `GatedAttention` makes of them as `intermediates/head/log_weight`; that is returned, too, with
    `with_weight`.

    Attributes:
      dropout: rate of the dropout before the last layer.
      attention: units of a `GatedAttention`; 0: there is none.
    """

    dropout: float = 0.0
    attention: int = 0

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, with_weight: bool = False
    ) -> jax.Array | tuple[jax.Array, jax.Array]:
        x = x.astype(jnp.float32)
        self.sow("intermediates", "embedding", x)
        dropped = nn.Dropout(self.dropout, deterministic=not train)(x)
        logit = nn.Dense(1, dtype=jnp.float32, name="logit")(dropped)[..., 0]
        if not self.attention:
            return logit
        log_weight = GatedAttention(self.attention, name="attention")(dropped)
        self.sow("intermediates", "log_weight", log_weight)
        return (logit, log_weight) if with_weight else logit
