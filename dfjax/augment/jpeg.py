"""A JPEG round trip: colour transform, 4:2:0 chroma, quantised DCT, and back.

What a baseline encoder and decoder do to pixels (ITU-T T.81, with the tables of its annex K and
libjpeg's scale of qualities), without the lossless coding in between.
"""

import jax
import jax.numpy as jnp
import numpy as np

from dfjax.augment import colour

# Annex K of T.81: steps of the coefficients at quality 50, rows by vertical frequency.
_LUMA_STEPS = np.float32(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMA_STEPS = np.full((8, 8), 99, np.float32)
_CHROMA_STEPS[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# Rows: orthonormal cosines by frequency.
_DCT = np.sqrt(np.where(np.arange(8) == 0, 1, 2)[:, None] / 8) * np.cos(
    np.pi * np.arange(8)[:, None] * (2 * np.arange(8) + 1) / 16
)


def round_trip(image: jax.Array, quality: jax.Array) -> jax.Array:
    """The planes [3, S, S] as they come out of a JPEG file of `quality` 1 to 100, [].

    As libjpeg makes it by default; a side that is not a multiple of 16 is padded by its edge.
    """
    size = image.shape[-1]
    padded = _pad(jnp.clip(jnp.round(image), 0, 255), -size % 16)
    luma, chroma = _to_ycc(padded)
    luma = _quantise(luma, _steps(_LUMA_STEPS, quality))
    chroma = _quantise(_halve(chroma), _steps(_CHROMA_STEPS, quality))
    return _to_rgb(luma, _double(chroma))[:, :size, :size]


def _pad(image: jax.Array, width: int) -> jax.Array:
    return jnp.pad(image, ((0, 0), (0, width), (0, width)), mode="edge")


def _steps(table: np.ndarray, quality: jax.Array) -> jax.Array:
    """The table [8, 8] at a quality, by libjpeg's rule."""
    percent = jnp.where(quality < 50, jnp.floor(5000 / quality), 200 - 2 * quality)
    return jnp.clip(jnp.floor((table * percent + 50) / 100), 1, 255)


def _to_ycc(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Luma [1, S, S] and the two colour differences [2, S, S], about 0, of RGB planes."""
    red, _, blue = image
    luma = jnp.tensordot(colour.LUMA, image, 1)
    chroma = jnp.stack([(blue - luma) / 1.772, (red - luma) / 1.402])
    return jnp.round(luma[None]) - 128, jnp.round(chroma)


def _to_rgb(luma: jax.Array, chroma: jax.Array) -> jax.Array:
    """Rounded RGB planes [3, S, S] of what `_to_ycc` returns."""
    blue, red = chroma
    green = (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587
    offsets = jnp.stack([1.402 * red, -green, 1.772 * blue])
    return jnp.clip(jnp.round(luma + 128 + offsets), 0, 255)


def _quantise(planes: jax.Array, steps: jax.Array) -> jax.Array:
    """Planes [C, H, W] about 0 after their blocks of 8 x 8 lost what the steps [8, 8] round off."""
    count, height, width = planes.shape
    blocks = planes.reshape(count, height // 8, 8, width // 8, 8)
    steps = steps[None, None, :, None]
    coefficients = jnp.round(_transform(blocks, _DCT) / steps) * steps
    pixels = jnp.round(_transform(coefficients, _DCT.T))
    return jnp.clip(pixels.reshape(planes.shape), -128, 127)


def _transform(blocks: jax.Array, matrix: np.ndarray) -> jax.Array:
    """matrix @ block @ matrix.T of every block in [C, H / 8, 8, W / 8, 8]."""
    matrix = jnp.float32(matrix)
    rows = jnp.einsum("chywx,ux->chywu", blocks, matrix, precision="highest")
    return jnp.einsum("vy,chywu->chvwu", matrix, rows, precision="highest")


def _halve(planes: jax.Array) -> jax.Array:
    """The mean of every 2 x 2 pixels."""
    count, height, width = planes.shape
    means = planes.reshape(count, height // 2, 2, width // 2, 2).mean((2, 4))
    return jnp.round(means)


def _double(planes: jax.Array) -> jax.Array:
    """Twice the size by libjpeg's triangle filter: 3/4 of the nearer pixel, 1/4 of the farther."""
    for axis in (1, 2):
        planes = _double_along(planes, axis)
    return jnp.round(planes)


def _double_along(planes: jax.Array, axis: int) -> jax.Array:
    count = planes.shape[axis]
    pad = [(1, 1) if a == axis else (0, 0) for a in range(3)]
    padded = jnp.pad(planes, pad, mode="edge")
    before, after = (
        0.75 * planes + 0.25 * jax.lax.slice_in_dim(padded, start, start + count, axis=axis)
        for start in (0, 2)
    )
    shape = [2 * n if a == axis else n for a, n in enumerate(planes.shape)]
    return jnp.stack([before, after], axis + 1).reshape(shape)
