"""Convolutions and max pooling as sums and products that XLA compiles into fast code on a CPU.

XLA's own code for a convolution and its gradients is slow on a CPU where it has few multiplications
for each value. Here the same sums are written down otherwise, for layers [N, H, W, C]:

- 1x1, and squares that do not overlap: a matrix product.
- Depthwise: the sum of shifted images, each times a weight per channel.
- Grouped: dense convolutions of blocks of channels, with zeros between the groups of a block.
- 3x3 of many channels: Winograd's minimal filtering (arXiv:1509.09308) with 4 multiplications
  for each output instead of 9.
- Max pooling: the index of the maximum is kept for the gradient.

All else, such as a stem, is the compiler's own.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dfjax.models import fusion, winograd


def conv_general_dilated(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[fusion.Pair],
    *,
    feature_group_count: int,
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    **settings: Any,
) -> jax.Array:
    """Returns what `lax.conv_general_dilated` does, as `nn.Conv` calls it with [N, H, W, C]."""
    if set(lhs_dilation) | set(rhs_dilation) != {1}:
        dilations = {"lhs_dilation": lhs_dilation, "rhs_dilation": rhs_dilation}
        settings |= {"feature_group_count": feature_group_count, **dilations}
        return lax.conv_general_dilated(x, kernel, strides, padding, **settings)
    strides = tuple(strides)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    pads = tuple((int(before), int(after)) for before, after in padding)
    if feature_group_count == 1:
        return _dense(x, kernel, strides, pads)
    if kernel.shape[2:] == (1, feature_group_count):
        return _depthwise(x, kernel, strides, pads)
    return _grouped(x, kernel, strides, pads, feature_group_count)


def _dense(x: jax.Array, w: jax.Array, strides: fusion.Pair, pads: fusion.Pads) -> jax.Array:
    if w.shape[:2] == (1, 1):
        return _product(fusion.padded(x, pads)[:, :: strides[0], :: strides[1]], w[0, 0])
    if w.shape[:2] == strides and pads == fusion.NO_PADS:
        return _patches(x, w)
    if winograd.pays(x, w, strides, pads):
        return winograd.convolve(x, w, pads)
    return lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _patches(x: jax.Array, w: jax.Array) -> jax.Array:
    kh, kw, inputs, outputs = w.shape
    n, rows, columns = x.shape[0], x.shape[1] // kh, x.shape[2] // kw
    x = x[:, : rows * kh, : columns * kw].reshape(n, rows, kh, columns, kw, inputs)
    x = x.swapaxes(2, 3).reshape(n, rows, columns, kh * kw * inputs)
    return _product(x, w.reshape(kh * kw * inputs, outputs))


def dot_general(x: jax.Array, kernel: jax.Array, dimension_numbers: Any, **_: Any) -> jax.Array:
    """Returns what `lax.dot_general` does, as `nn.Dense` calls it: x [..., C] times [C, D]."""
    assert dimension_numbers == (((x.ndim - 1,), (0,)), ((), ()))
    return _product(x, kernel)


@jax.custom_vjp
def _product(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.dot(x, w)


def _product_forward(x: jax.Array, w: jax.Array) -> tuple:
    return _product(x, w), (x, w)


def _product_backward(saved: tuple, g: jax.Array) -> tuple:
    x, w = saved
    inputs, outputs = w.shape
    dx = jnp.dot(g, w.T)
    x, g = x.reshape(-1, inputs), g.reshape(-1, outputs)
    # The compiler makes a transposed copy of what comes first, by the code of whatever computed it,
    # which strides through memory then. So the narrower one, and as a copy of its own.
    if inputs <= outputs:
        dw = fusion.alone(jnp.transpose, x) @ g
    else:
        dw = (fusion.alone(jnp.transpose, g) @ x).T
    return dx, dw.astype(w.dtype)


_product.defvjp(_product_forward, _product_backward)


# Depthwise: the kernel is [kh, kw, 1, C].


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(x: jax.Array, w: jax.Array, strides: fusion.Pair, pads: fusion.Pads) -> jax.Array:
    def convolved(x: jax.Array, w: jax.Array) -> jax.Array:
        weight = _weights(w)
        taps = _taps(x, w.shape[:2], strides)
        return fusion.add(tap * weight(*place) for place, tap in taps)

    return fusion.alone(convolved, fusion.padded(x, pads), w).astype(x.dtype)


def _depthwise_forward(
    x: jax.Array, w: jax.Array, strides: fusion.Pair, pads: fusion.Pads
) -> tuple:
    return _depthwise(x, w, strides, pads), (x, w)


def _depthwise_backward(
    strides: fusion.Pair, pads: fusion.Pads, saved: tuple, g: jax.Array
) -> tuple:
    x, w = saved
    kernel = w.shape[:2]

    def to_inputs(g: jax.Array, w: jax.Array) -> jax.Array:
        weight = _weights(w)
        return _to_taps(lambda i, j, g: g * weight(i, j), (g,), x.shape, kernel, strides, pads)

    dx = fusion.alone(to_inputs, g, w)
    dw = _depthwise_kernel_gradient(fusion.padded(x, pads), g, kernel, strides)
    return dx.astype(x.dtype), dw.reshape(w.shape).astype(w.dtype)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _weights(w: jax.Array) -> Callable[[int, int], jax.Array]:
    """From a place to its weights [1, 1, 1, C]; sums of their products are at least float32."""
    w = w.astype(jnp.promote_types(w.dtype, jnp.float32))
    return lambda i, j: w[i : i + 1, j : j + 1]


def _depthwise_kernel_gradient(
    x: jax.Array, g: jax.Array, kernel: fusion.Pair, strides: fusion.Pair
) -> jax.Array:
    """[kh, kw, C] from padded x [N, H, W, C] and the gradient g [N, H', W', C] of the output.

    Row by row of the kernel, which bounds what one loop has to do.
    """
    (_, height, width, _), (down, across) = g.shape, strides
    x, g = (v.astype(jnp.promote_types(v.dtype, jnp.float32)) for v in (x, g))

    def products(i: int, rows: slice, x: jax.Array, g: jax.Array) -> list[jax.Array]:
        last = range(height)[rows][-1]
        x = x[:, i + rows.start * down : i + last * down + 1 : (rows.step or 1) * down]
        columns = (slice(j, j + (width - 1) * across + 1, across) for j in range(kernel[1]))
        return [x[:, :, place] * g[:, rows] for place in columns]

    rows = (functools.partial(products, i) for i in range(kernel[0]))
    return jnp.stack([fusion.sum_positions(row, height, x, g) for row in rows])


# Grouped: dense convolutions of blocks of channels.

_BLOCK_WIDTH, _MAX_BLOCKS = 32, 8  # each block costs compile time


def _grouped(
    x: jax.Array, w: jax.Array, strides: fusion.Pair, pads: fusion.Pads, groups: int
) -> jax.Array:
    kh, kw, inputs, outputs = w.shape
    together = min(groups, max(1, _BLOCK_WIDTH // inputs, groups // _MAX_BLOCKS))  # in a block
    while groups % together:
        together += 1
    blocks = groups // together
    w = w.reshape(kh, kw, inputs, blocks, together, outputs // groups)
    w = jnp.einsum("hwibgo,gf->bhwfigo", w, jnp.eye(together, dtype=w.dtype))
    w = w.reshape(blocks, kh, kw, together * inputs, outputs // blocks)
    parts = jnp.split(x, blocks, axis=-1)
    return jnp.concatenate(
        [_dense(part, w[block], strides, pads) for block, part in enumerate(parts)], axis=-1
    )


# Max pooling.


def max_pool(x: jax.Array, window: int, strides: int, padding: fusion.Pads) -> jax.Array:
    """Returns what `pooling.max_pool` does; the gradient goes to the first of equal values."""
    return _max_pool(x, x.shape, (window, window), (strides, strides), padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _max_pool(
    x: jax.Array, _: tuple[int, ...], window: fusion.Pair, strides: fusion.Pair, pads: fusion.Pads
) -> jax.Array:
    taps = _taps(fusion.padded(x, pads, -jnp.inf), window, strides)
    return functools.reduce(jnp.maximum, (tap for _, tap in taps))


def _max_pool_forward(
    x: jax.Array, _: tuple[int, ...], window: fusion.Pair, strides: fusion.Pair, pads: fusion.Pads
) -> tuple[jax.Array, jax.Array]:
    (_, largest), *others = _taps(fusion.padded(x, pads, -jnp.inf), window, strides)
    index = jnp.zeros(largest.shape, jnp.int8)
    for number, (_, tap) in enumerate(others, 1):
        index = jnp.where(tap > largest, jnp.int8(number), index)
        largest = jnp.maximum(tap, largest)
    return largest, index


def _max_pool_backward(
    shape: tuple[int, ...],
    window: fusion.Pair,
    strides: fusion.Pair,
    pads: fusion.Pads,
    index: jax.Array,
    g: jax.Array,
) -> tuple[jax.Array]:
    def gradient(i: int, j: int, g: jax.Array, index: jax.Array) -> jax.Array:
        return jnp.where(index == jnp.int8(i * window[1] + j), g, 0)

    return (_to_taps(gradient, (g, index), shape, window, strides, pads),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


# Shared.


def _taps(
    x: jax.Array, window: fusion.Pair, strides: fusion.Pair
) -> list[tuple[fusion.Pair, jax.Array]]:
    """((i, j), the values of padded x at place i, j of every window) for each place."""
    (down, across), (kh, kw) = strides, window
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    return [
        ((i, j), x[:, i : i + height : down, j : j + width : across])
        for i in range(kh)
        for j in range(kw)
    ]


def _to_taps(
    term: Callable[..., jax.Array],
    arrays: Sequence[jax.Array],
    shape: Sequence[int],
    window: fusion.Pair,
    strides: fusion.Pair,
    pads: fusion.Pads,
) -> jax.Array:
    """The adjoint of `_taps`: x [N, H, W, C] of `shape`, each the sum over the windows it is in.

    term(i, j, *views) is what goes from windows to their place i, j; `arrays` are [N, H', W', C].
    With stride s, a value at q s + r is at the places r, r + s, ... of the windows q, q - 1, ...
    """
    axes = zip(shape[1:3], arrays[0].shape[1:3], window, strides, pads, strict=True)
    starts, wide, places = zip(*(_adjoint_axis(*axis) for axis in axes), strict=True)
    arrays = [fusion.padded(array, wide) for array in arrays]

    def residue(down: int, across: int) -> jax.Array:
        return fusion.add(
            term(i, j, *(array[:, rows, columns] for array in arrays))
            for i, rows in places[0](down)
            for j, columns in places[1](across)
        )

    rows = [
        jnp.stack([residue(down, across) for across in range(strides[1])], 3)
        for down in range(strides[0])
    ]
    x = jnp.stack(rows, 2)
    x = x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3] * x.shape[4], x.shape[5])
    return x[:, starts[0] : starts[0] + shape[1], starts[1] : starts[1] + shape[2]]


def _adjoint_axis(
    size: int, windows: int, window: int, stride: int, pad: fusion.Pair
) -> tuple[int, fusion.Pair, Callable[[int], list[tuple[int, slice]]]]:
    """(where the values start, pads of the windows, from r to (place, windows that have it there)).

    For one axis of `_to_taps`.
    """
    first, end = pad[0] // stride, -(-(pad[0] + size) // stride)  # q of the values
    reach = -(-window // stride) - 1  # how many windows back a value can be in

    def places(r: int) -> list[tuple[int, slice]]:
        found = enumerate(range(r, window, stride))
        return [(place, slice(reach - m, reach - m + end - first)) for m, place in found]

    return pad[0] - first * stride, (reach - first, end - windows), places
