"""3x3 convolutions of many channels with 4 multiplications for each output instead of 9.

Winograd's minimal filtering F(2x2, 3x3), of Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks" (arXiv:1509.09308). A tile of 4x4 inputs d gives 2x2 outputs y; along one axis,
y = A'(B'd * Gk) for the kernel k, with the paper's matrices B, G and A. Over all channels, the
products of the 16 elements of tiles are matrix products.

The result is that of a convolution but for rounding: in float32 about 1e-6 of the largest value.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from dfjax.models import fusion

# Below, transforming images, or the kernel, takes longer than it saves.
_LEAST_CHANNELS, _LEAST_TILES = 96, 128


def pays(x: jax.Array, w: jax.Array, strides: fusion.Pair, pads: fusion.Pads) -> bool:
    """Returns whether `convolve` can convolve x [N, H, W, C] with w [h, w, C, D], and is faster."""
    rows, columns = _tiles(x.shape, pads)
    return (
        w.shape[:2] == (3, 3)
        and strides == (1, 1)
        and min(w.shape[2:]) >= _LEAST_CHANNELS
        and x.shape[0] * rows * columns >= _LEAST_TILES
        and x.dtype != jnp.bfloat16  # sums and differences of rounded values would lose digits
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, w: jax.Array, pads: fusion.Pads) -> jax.Array:
    """Returns x [N, H, W, C], padded, convolved with w [3, 3, C, D]."""
    height, width = (size + sum(pad) - 2 for size, pad in zip(x.shape[1:3], pads, strict=True))
    tiles = _tiles(x.shape, pads)
    inputs = fusion.alone(_transform_inputs, _tiled(x, pads))
    products = lax.dot_general(inputs, _transform_kernel(w), (((2,), (1,)), ((0,), (0,))))
    products = products.reshape(4, 4, x.shape[0], *tiles, w.shape[3])
    return fusion.alone(_transform_products, products)[:, :height, :width]


def _forward(x: jax.Array, w: jax.Array, pads: fusion.Pads) -> tuple:
    return convolve(x, w, pads), (x, w)


def _backward(pads: fusion.Pads, saved: tuple, g: jax.Array) -> tuple:
    x, w = saved
    back = tuple((2 - before, 2 - after) for before, after in pads)
    dx = convolve(g, w[::-1, ::-1].swapaxes(2, 3), back)
    inputs = fusion.alone(_transform_inputs, _tiled(x, pads))
    counts = zip(_tiles(x.shape, pads), g.shape[1:3], strict=True)
    even = tuple((0, 2 * count - size) for count, size in counts)
    outputs = fusion.alone(_transform_gradients, fusion.padded(g, even))
    products = lax.dot_general(inputs, outputs, (((1,), (1,)), ((0,), (0,))))
    _, back_to_kernel = jax.vjp(_transform_kernel, w)
    return dx, *back_to_kernel(products)


convolve.defvjp(_forward, _backward)


def _tiles(shape: Sequence[int], pads: fusion.Pads) -> fusion.Pair:
    """How many tiles cover the rows and the columns of the output; the last may be half empty."""
    return tuple((size + sum(pad) - 1) // 2 for size, pad in zip(shape[1:3], pads, strict=True))


def _tiled(x: jax.Array, pads: fusion.Pads) -> jax.Array:
    """x with pads, and with zeros at the end so that tiles fit."""
    axes = zip(_tiles(x.shape, pads), x.shape[1:3], pads, strict=True)
    ends = ((before, 2 * count + 2 - size - before) for count, size, (before, _) in axes)
    return fusion.padded(x, tuple(ends))


def _transform_inputs(x: jax.Array) -> jax.Array:
    """B'd of every tile of padded x [N, 2 H' + 2, 2 W' + 2, C]: [16, N H' W', C]."""

    def along(parts: list[jax.Array]) -> tuple[jax.Array, ...]:
        a, b, c, d = parts
        return a - c, b + c, c - b, b - d

    height, width = x.shape[1] - 3, x.shape[2] - 3
    rows = along([x[:, i : i + height : 2] for i in range(4)])
    parts = [v for row in rows for v in along([row[:, :, j : j + width : 2] for j in range(4)])]
    return jnp.stack(parts).reshape(16, -1, x.shape[3])


def _transform_kernel(w: jax.Array) -> jax.Array:
    """Gk of a kernel [3, 3, C, D]: [16, C, D]."""

    def along(parts: jax.Array) -> jax.Array:
        a, b, c = parts
        return jnp.stack([a, (a + b + c) / 2, (a - b + c) / 2, c])

    return along(along(w).swapaxes(0, 1)).swapaxes(0, 1).reshape(16, *w.shape[2:])


def _transform_products(products: jax.Array) -> jax.Array:
    """A'm of products m [4, 4, N, H', W', D]: [N, 2 H', 2 W', D]."""

    def along(parts: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
        a, b, c, d = parts
        return a + b + c, b - c - d

    rows = [jnp.stack(along(row), 3) for row in along(products)]
    _, _, n, height, width, outputs = products.shape
    return jnp.stack(rows, 2).reshape(n, 2 * height, 2 * width, outputs)


def _transform_gradients(g: jax.Array) -> jax.Array:
    """A g of gradients g [N, 2 H', 2 W', D] of outputs: [16, N H' W', D]."""

    def along(a: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
        return a, a + b, a - b, -b

    rows = along(g[:, ::2], g[:, 1::2])
    parts = [v for row in rows for v in along(row[:, :, ::2], row[:, :, 1::2])]
    return jnp.stack(parts).reshape(16, -1, g.shape[3])
