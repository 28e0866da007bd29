"""Affine motion of a crop."""

import jax
import jax.numpy as jnp
import numpy as np

from dfjax.augment.settings import Settings


def grid(size: int) -> np.ndarray:
    """The centres of the pixels of a crop, float32 [2, S, S]: x, then y, in units of the side."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.stack(np.meshgrid(centres, centres))


def affine(
    *, turn: jax.Array, scale: jax.Array, shift: jax.Array, mirror: jax.Array | float = 1.0
) -> jax.Array:
    """A motion [2, 3] of the crop about its centre, from points before to points after.

    Args:
      turn: tangent of half the angle of rotation, []. Cosine and sine follow by arithmetic alone:
        the last bits of trigonometric functions depend on how many are computed at once, and so on
        the number of devices.
      scale: factor of sizes, [].
      shift: of x and y in units of the side, [2].
      mirror: -1 first mirrors left and right, 1 does not, [].
    """
    unit = scale / (1 + turn**2)
    cos, sin = unit * (1 - turn**2), unit * 2 * turn
    linear = jnp.stack([jnp.stack([mirror * cos, -sin]), jnp.stack([mirror * sin, cos])])
    return jnp.concatenate([linear, (0.5 + shift - linear.sum(1) / 2)[:, None]], 1)


def draw_motion(key: jax.Array, settings: Settings) -> jax.Array:
    """A random `affine` motion [2, 3] within the limits of the settings."""
    turn_key, scale_key, shift_key, flip_key = jax.random.split(key, 4)
    steepest = float(np.tan(np.deg2rad(settings.rotate) / 2))
    return affine(
        turn=jax.random.uniform(turn_key, minval=-steepest, maxval=steepest),
        scale=1 + jax.random.uniform(scale_key, minval=-settings.zoom, maxval=settings.zoom),
        shift=jax.random.uniform(shift_key, (2,), minval=-settings.shift, maxval=settings.shift),
        mirror=1.0 - 2.0 * jax.random.bernoulli(flip_key, settings.flip),
    )


def warp(image: jax.Array, motion: jax.Array) -> jax.Array:
    """The planes [C, S, S] after a motion [2, 3]: bilinear, and reflected beyond the border."""
    size = image.shape[-1]
    x, y = _sources(motion, size)
    # The last pixel is interpolated from the one before, with all the weight on itself.
    left, top = (jnp.minimum(v.astype(jnp.int32), size - 2) for v in (x, y))
    right, down = (x - left)[None], (y - top)[None]
    pixels, place = image.reshape(len(image), -1), top * size + left

    def row(offset: int) -> jax.Array:
        first, second = (
            pixels.at[:, place + offset + step].get(mode="promise_in_bounds") for step in (0, 1)
        )
        return first + (second - first) * right

    above = row(0)
    return above + (row(size) - above) * down


def _sources(motion: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """The pixel (x, y) of the image before, each [S, S] in 0..S - 1, that every pixel shows."""
    a, b, c, d = motion[0, 0], motion[0, 1], motion[1, 0], motion[1, 1]
    x, y = grid(size) - motion[:, 2, None, None]
    determinant = a * d - b * c
    back_x, back_y = (d * x - b * y) / determinant, (a * y - c * x) / determinant
    last = size - 1
    return tuple(
        jnp.clip(last - jnp.abs(last - jnp.abs(v * size - 0.5)), 0, last) for v in (back_x, back_y)
    )
