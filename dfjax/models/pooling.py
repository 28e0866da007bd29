"""Pooling that every exporter can write and every runtime computes alike."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax.models import cpu_forms, layers


def max_pool(
    x: jax.Array,
    window: int,
    strides: int,
    *,
    form: str,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> jax.Array:
    """Returns the maxima of square windows of feature maps [B, H, W, C].

    `padding` is the number of rows and columns (before, after), with a value below any other; for
    `form` see `backbone.Backbone`.
    """
    layers.require_form(form)
    if form == "cpu":
        return cpu_forms.max_pool(x, window, strides, padding)
    if padding != ((0, 0), (0, 0)):
        # A layer of its own, because jax2onnx drops the padding of a pool; XLA joins them again.
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
    return nn.max_pool(x, window_shape=(window, window), strides=(strides, strides))


def adaptive_average_pool(x: jax.Array, size: int) -> jax.Array:
    """Returns feature maps [B, H, W, C] at [B, size, size, C], as torch.nn.AdaptiveAvgPool2d.

    Cell i averages the rows from floor(i H / size) to ceil((i + 1) H / size): windows may overlap,
    and repeat a row if H < size. Maps of that size are returned as they are.
    """
    height, width = x.shape[1:3]
    if (height, width) == (size, size):
        return x
    rows = jnp.einsum("oh,bhwc->bowc", _weights(height, size), x, precision="highest")
    return jnp.einsum("pw,bowc->bopc", _weights(width, size), rows, precision="highest").astype(
        x.dtype
    )


def _weights(old: int, new: int) -> np.ndarray:
    """The weight of each of `old` rows in each of `new`, float32 [new, old]."""
    cell, row = np.arange(new)[:, None], np.arange(old)[None]
    inside = (row >= cell * old // new) & (row < -(-(cell + 1) * old // new))
    return np.float32(inside / inside.sum(1, keepdims=True))
