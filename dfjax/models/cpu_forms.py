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
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import xla_metadata

Pads: TypeAlias = tuple[tuple[int, int], tuple[int, int]]  # of rows and columns: before, after
Pair: TypeAlias = tuple[int, int]

_NO_PADS = ((0, 0), (0, 0))


def conv_general_dilated(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[Pair],
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


def _dense(x: jax.Array, w: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    if w.shape[:2] == (1, 1):
        return _padded(x, pads)[:, :: strides[0], :: strides[1]] @ w[0, 0]
    if w.shape[:2] == strides and pads == _NO_PADS:
        return _patches(x, w)
    if _winograd_pays(x, w, strides, pads):
        return _winograd(x, w, pads)
    return lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _patches(x: jax.Array, w: jax.Array) -> jax.Array:
    kh, kw, inputs, outputs = w.shape
    n, rows, columns = x.shape[0], x.shape[1] // kh, x.shape[2] // kw
    x = x[:, : rows * kh, : columns * kw].reshape(n, rows, kh, columns, kw, inputs)
    x = x.swapaxes(2, 3).reshape(n, rows, columns, kh * kw * inputs)
    return x @ w.reshape(kh * kw * inputs, outputs)


# Depthwise: the kernel is [kh, kw, 1, C].


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise(x: jax.Array, w: jax.Array, strides: Pair, pads: Pads) -> jax.Array:
    weight = _weights(w)
    taps = _taps(_padded(x, pads), w.shape[:2], strides)
    return _sum(tap * weight(*place) for place, tap in taps).astype(x.dtype)


def _depthwise_forward(x: jax.Array, w: jax.Array, strides: Pair, pads: Pads) -> tuple:
    return _depthwise(x, w, strides, pads), (x, w)


def _depthwise_backward(strides: Pair, pads: Pads, saved: tuple, g: jax.Array) -> tuple:
    x, w = saved
    kernel, weight = w.shape[:2], _weights(w)
    dx = _to_taps(lambda i, j, g: g * weight(i, j), (g,), x.shape, kernel, strides, pads)
    dw = _depthwise_kernel_gradient(_padded(x, pads), g, kernel, strides)
    return dx.astype(x.dtype), dw.reshape(w.shape).astype(w.dtype)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _weights(w: jax.Array) -> Callable[[int, int], jax.Array]:
    """From a place to its weights [1, 1, 1, C]; sums of their products are at least float32."""
    w = w.astype(jnp.promote_types(w.dtype, jnp.float32))
    return lambda i, j: w[i : i + 1, j : j + 1]


_ROWS = 8  # of an image that one fused loop adds up


def _depthwise_kernel_gradient(
    x: jax.Array, g: jax.Array, kernel: Pair, strides: Pair
) -> jax.Array:
    """[kh, kw, C] from padded x [N, H, W, C] and the gradient g [N, H', W', C] of the output.

    A loop over the rows of the kernel bounds what is compiled. Within it, vector code adds up some
    rows of each image, and a product with ones the rest: as sums, wide rows take ten times as long.
    No step of it mixes images before the product, since they may lie on several devices.
    """
    (_, height, width, channels), (down, across) = g.shape, strides
    rows = max(count for count in range(1, _ROWS + 1) if height % count == 0)

    def partial_sums(x: jax.Array, g: jax.Array, i: jax.Array) -> jax.Array:
        x = lax.dynamic_slice_in_dim(x, i, (height - 1) * down + 1, 1)
        x, g = (v.astype(jnp.promote_types(v.dtype, jnp.float32)) for v in (x, g))
        columns = [
            _sum(
                x[:, r * down :: rows * down, j : j + (width - 1) * across + 1 : across]
                * g[:, r::rows]
                for r in range(rows)
            )
            for j in range(kernel[1])
        ]
        return jnp.stack(columns, 3)

    def kernel_row(i: jax.Array) -> jax.Array:
        sums = _alone(partial_sums, x, g, i).reshape(-1, kernel[1] * channels)
        return jnp.ones((1, len(sums)), sums.dtype) @ sums

    return lax.map(kernel_row, jnp.arange(kernel[0]))


# Grouped: dense convolutions of blocks of channels.

_BLOCK_WIDTH, _MAX_BLOCKS = 32, 8  # each block costs compile time


def _grouped(x: jax.Array, w: jax.Array, strides: Pair, pads: Pads, groups: int) -> jax.Array:
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


# Winograd's F(2x2, 3x3) of Lavin and Gray. A tile of 4x4 inputs gives 2x2 outputs. Along one axis: inputs d,
# kernel k, outputs y = A'(B'd * Gk), with the matrices of the paper written out below.

_LEAST_CHANNELS, _LEAST_TILES = 64, 128


def _winograd_pays(x: jax.Array, w: jax.Array, strides: Pair, pads: Pads) -> bool:
    rows, columns = _tiles(x.shape, pads)
    return (
        w.shape[:2] == (3, 3)
        and strides == (1, 1)
        and min(w.shape[2:]) >= _LEAST_CHANNELS
        # Below, transforming the kernel takes longer than convolving.
        and x.shape[0] * rows * columns >= _LEAST_TILES
        # Sums and differences of rounded values would lose digits.
        and x.dtype != jnp.bfloat16
    )


def _tiles(shape: Sequence[int], pads: Pads) -> Pair:
    """How many tiles cover the rows and the columns of the output; the last may be half empty."""
    return tuple((size + sum(pad) - 1) // 2 for size, pad in zip(shape[1:3], pads, strict=True))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _winograd(x: jax.Array, w: jax.Array, pads: Pads) -> jax.Array:
    height, width = (size + sum(pad) - 2 for size, pad in zip(x.shape[1:3], pads, strict=True))
    tiles = _tiles(x.shape, pads)
    products = _products(_alone(_transform_inputs, _tiled(x, pads)), _transform_kernel(w))
    products = products.reshape(4, 4, x.shape[0], *tiles, w.shape[3])
    return _alone(_transform_products, products)[:, :height, :width]


def _winograd_forward(x: jax.Array, w: jax.Array, pads: Pads) -> tuple:
    return _winograd(x, w, pads), (x, w)


def _winograd_backward(pads: Pads, saved: tuple, g: jax.Array) -> tuple:
    x, w = saved
    back = tuple((2 - before, 2 - after) for before, after in pads)
    dx = _dense(g, w[::-1, ::-1].swapaxes(2, 3), (1, 1), back)
    # The function is linear in the kernel, so that its gradient goes back the same way.
    counts = zip(_tiles(x.shape, pads), g.shape[1:3], strict=True)
    even = ((0, 2 * count - size) for count, size in counts)
    inputs = _alone(_transform_inputs, _tiled(x, pads))
    outputs = _alone(_transform_gradients, _padded(g, tuple(even)))
    products = lax.dot_general(inputs, outputs, (((1,), (1,)), ((0,), (0,))))
    _, back_to_kernel = jax.vjp(_transform_kernel, w)
    return dx, back_to_kernel(products)[0]


_winograd.defvjp(_winograd_forward, _winograd_backward)


def _products(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.dot_general(inputs, kernel, (((2,), (1,)), ((0,), (0,))))


def _tiled(x: jax.Array, pads: Pads) -> jax.Array:
    """x with pads, and with zeros at the end so that tiles fit."""
    ends = [
        (before, 2 * count + 2 - size - before)
        for count, size, (before, _) in zip(_tiles(x.shape, pads), x.shape[1:3], pads, strict=True)
    ]
    return _padded(x, tuple(ends))


def _transform_inputs(x: jax.Array) -> jax.Array:
    """B'd of every tile of padded x [N, H, W, C]: [16, N H' W', C]."""

    def along(parts: list[jax.Array]) -> tuple[jax.Array, ...]:
        a, b, c, d = parts
        return a - c, b + c, c - b, b - d

    height, width = x.shape[1] - 3, x.shape[2] - 3
    rows = along([x[:, i : i + height : 2] for i in range(4)])
    parts = [
        part for row in rows for part in along([row[:, :, j : j + width : 2] for j in range(4)])
    ]
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
    """A g of gradients g [N, 2 H', 2 W', D]: [16, N H' W', D]."""

    def along(a: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
        return a, a + b, a - b, -b

    rows = along(g[:, ::2], g[:, 1::2])
    parts = [part for row in rows for part in along(row[:, :, ::2], row[:, :, 1::2])]
    return jnp.stack(parts).reshape(16, -1, g.shape[3])


# Max pooling.


def max_pool(x: jax.Array, window: int, strides: int, padding: Pads) -> jax.Array:
    """Returns what `pooling.max_pool` does; the gradient goes to the first of equal values."""
    return _max_pool(x, x.shape, (window, window), (strides, strides), padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _max_pool(
    x: jax.Array, _: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> jax.Array:
    taps = _taps(_padded(x, pads, -jnp.inf), window, strides)
    return functools.reduce(jnp.maximum, (tap for _, tap in taps))


def _max_pool_forward(
    x: jax.Array, _: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> tuple[jax.Array, jax.Array]:
    (_, largest), *others = _taps(_padded(x, pads, -jnp.inf), window, strides)
    index = jnp.zeros(largest.shape, jnp.int8)
    for number, (_, tap) in enumerate(others, 1):
        index = jnp.where(tap > largest, jnp.int8(number), index)
        largest = jnp.maximum(tap, largest)
    return largest, index


def _max_pool_backward(
    shape: tuple[int, ...],
    window: Pair,
    strides: Pair,
    pads: Pads,
    index: jax.Array,
    g: jax.Array,
) -> tuple[jax.Array]:
    def gradient(i: int, j: int, g: jax.Array, index: jax.Array) -> jax.Array:
        return jnp.where(index == jnp.int8(i * window[1] + j), g, 0)

    return (_to_taps(gradient, (g, index), shape, window, strides, pads),)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


# Shared.


def _alone(function: Callable[..., jax.Array], *operands: jax.Array) -> jax.Array:
    """function(*operands), compiled on its own: nothing around it is fused into its loops.

    On a CPU, XLA drops `lax.optimization_barrier` before it fuses.
    """
    with xla_metadata.set_xla_metadata(inlineable="false"):
        return jax.jit(function)(*operands)


def _padded(x: jax.Array, pads: Pads, value: float = 0.0) -> jax.Array:
    """x with pads; a fused pad would check in the loop over the taps where it is."""
    if pads == _NO_PADS:
        return x
    config = ((0, 0, 0), *((before, after, 0) for before, after in pads), (0, 0, 0))
    return _alone(lambda x: lax.pad(x, jnp.asarray(value, x.dtype), config), x)


def _taps(x: jax.Array, window: Pair, strides: Pair) -> list[tuple[Pair, jax.Array]]:
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
    window: Pair,
    strides: Pair,
    pads: Pads,
) -> jax.Array:
    """The adjoint of `_taps`: x [N, H, W, C] of `shape`, each the sum over the windows it is in.

    term(i, j, *views) is what goes from windows to their place i, j; `arrays` are [N, H', W', C].
    With stride s, a value at q s + r is at the places r, r + s, ... of the windows q, q - 1, ...
    """
    axes = zip(shape[1:3], arrays[0].shape[1:3], window, strides, pads, strict=True)
    starts, wide, places = zip(*(_adjoint_axis(*axis) for axis in axes), strict=True)
    arrays = [_padded(array, wide) for array in arrays]

    def residue(down: int, across: int) -> jax.Array:
        return _sum(
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
    size: int, windows: int, window: int, stride: int, pad: Pair
) -> tuple[int, Pair, Callable[[int], list[tuple[int, slice]]]]:
    """(where the values start, pads of the windows, from r to (place, windows that have it there)).

    For one axis of `_to_taps`.
    """
    first, end = pad[0] // stride, -(-(pad[0] + size) // stride)  # q of the values
    reach = -(-window // stride) - 1  # how many windows back a value can be in

    def places(r: int) -> list[tuple[int, slice]]:
        found = enumerate(range(r, window, stride))
        return [(place, slice(reach - m, reach - m + end - first)) for m, place in found]

    return pad[0] - first * stride, (reach - first, end - windows), places


def _sum(terms: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, terms)
