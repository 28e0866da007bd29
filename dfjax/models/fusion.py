"""What XLA's CPU compiler shall not fuse: loops that are fast only if nothing else is in them."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import xla_metadata

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]  # of rows and of columns: how many before, how many after

NO_PADS = ((0, 0), (0, 0))
_ROWS = 8  # of an image that one loop adds up


def alone(function: Callable[..., jax.Array], *operands: jax.Array) -> jax.Array:
    """Returns function(*operands), compiled on its own: nothing around it gets into its loops.

    On a CPU, XLA drops `lax.optimization_barrier` before it fuses.
    """
    with xla_metadata.set_xla_metadata(inlineable="false"):
        return jax.jit(function)(*operands)


def padded(x: jax.Array, pads: Pads, value: float = 0.0) -> jax.Array:
    """Returns x [N, H, W, C] with `pads`; negative ones crop.

    Fused into the loop over a window, a pad would be a comparison for each of its places.
    """
    if pads == NO_PADS:
        return x
    config = ((0, 0, 0), *((before, after, 0) for before, after in pads), (0, 0, 0))
    return alone(lambda x: lax.pad(x, jnp.asarray(value, x.dtype), config), x)


def add(terms: Iterable[jax.Array]) -> jax.Array:
    """Returns the sum of at least one array, without the zero that `sum` begins with."""
    return functools.reduce(jnp.add, terms)


def sum_positions(
    terms: Callable[..., Sequence[jax.Array]], height: int, *arrays: jax.Array
) -> jax.Array:
    """Returns the sums [K, C] of K terms [N, H, W, C] over images, rows and columns.

    `terms(rows, *arrays)` returns the terms of some of the rows, [N, h, W, C] each; `rows` is a
    slice of range(height). Vector code adds up some rows of each image, a product with ones the
    rest: as sums, wide rows take ten times as long. Nothing mixes images before the product, since
    they may lie on several devices.
    """

    def added(rows: list[slice], arrays: Sequence[jax.Array]) -> jax.Array:
        by_term = zip(*(terms(some, *arrays) for some in rows), strict=True)
        return jnp.stack([add(parts) for parts in by_term], 3)

    def partial_sums(*arrays: jax.Array) -> jax.Array:
        whole = height - height % _ROWS
        strided = [slice(first, whole, _ROWS) for first in range(_ROWS if whole else 0)]
        rest = [slice(row, row + 1) for row in range(whole, height)]
        return jnp.concatenate([added(rows, arrays) for rows in (strided, rest) if rows], 1)

    sums = alone(partial_sums, *arrays)
    num_terms, channels = sums.shape[3:]
    sums = sums.reshape(-1, num_terms * channels)
    return (jnp.ones((1, len(sums)), sums.dtype) @ sums).reshape(num_terms, channels)
