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
      turn: tangent of half the angle of rotation, []. Cosine and sine follow by arithmetic: those
        of a library may round otherwise where more of them are computed at once.
      scale: factor of sizes, [].
      shift: of x and y in units of the side, [2].
      mirror: -1 first mirrors left and right, 1 does not, [].
    """
    cos, sin = (scale * value for value in cos_and_sin(turn))
    linear = jnp.stack([jnp.stack([mirror * cos, -sin]), jnp.stack([mirror * sin, cos])])
    return jnp.concatenate([linear, (0.5 + shift - linear.sum(1) / 2)[:, None]], 1)


def cos_and_sin(turn: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of an angle, from the tangent of its half."""
    unit = 1 / (1 + turn**2)
    return unit * (1 - turn**2), unit * 2 * turn


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
    pixels, last = grid(size) * size, size - 1
    # No division of whole planes: XLA turns it into a product in some programs and not in others.
    back = _inverse(motion)[:, :, None, None]
    found = (row[0] * pixels[0] + row[1] * pixels[1] + (row[2] * size - 0.5) for row in back)
    return tuple(jnp.clip(last - jnp.abs(last - jnp.abs(v)), 0, last) for v in found)


def _inverse(motion: jax.Array) -> jax.Array:
    """The motion [2, 3] back."""
    (a, b, _), (c, d, _) = motion
    linear = jnp.stack([jnp.stack([d, -b]), jnp.stack([-c, a])]) / (a * d - b * c)
    return jnp.concatenate([linear, -(linear * motion[None, :, 2]).sum(1, keepdims=True)], 1)
