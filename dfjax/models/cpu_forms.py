"""Convolutions and poolings written so that XLA compiles them into fast code on a CPU."""

from collections.abc import Sequence
from typing import Any

import jax
from jax import lax

NHWC = ("NHWC", "HWIO", "NHWC")


def conv_general_dilated(
    x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Any, **settings: Any
) -> jax.Array:
    """What `lax.conv_general_dilated` returns, as `nn.Conv` calls it."""
    return lax.conv_general_dilated(x, kernel, strides, padding, **settings)
