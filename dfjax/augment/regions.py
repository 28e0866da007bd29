"""Which part of a face a cutout hides or a blend exchanges, as fields (see `masks`)."""

import jax
import jax.numpy as jnp

from dfjax.augment import masks

_INNER_POINTS = 9  # of a random piece


def part(at: jax.Array, points: jax.Array, which: jax.Array, *, width: jax.Array) -> jax.Array:
    """The eyes (0), the nose (1) or the mouth (2) of `face.parts` [5, 2], as a bar.

    At a `width` [] of 1 it is as wide as the winner of DFDC 2020 draws it: a quarter of the
    distance of the eyes to either side, a third of the mouth's width.
    """
    left, right, nose, left_mouth, right_mouth = points
    eyes, mouth = jnp.linalg.norm(right - left), jnp.linalg.norm(right_mouth - left_mouth)
    starts = jnp.stack([left, (left + right) / 2, left_mouth])
    ends = jnp.stack([right, nose, right_mouth])
    radii = jnp.stack([eyes / 4, eyes / 4, mouth / 3]) * width
    return masks.bar(at, starts[which], ends[which], radii[which])


def half(at: jax.Array, outline: jax.Array, angle: jax.Array) -> jax.Array:
    """The half of the plane towards `angle` [] from the middle of a face's outline [P, 2]."""
    return masks.half_plane(at, outline.mean(0), angle)


def piece(at: jax.Array, outline: jax.Array, key: jax.Array) -> jax.Array:
    """A random convex piece, about a third as wide and high as a face's outline [P, 2], in it."""
    middle_key, points_key = jax.random.split(key)
    low, high = outline.min(0), outline.max(0)
    # From the middle half of the box: in its corners there is no face.
    middle = (low + high) / 2 + (high - low) * jax.random.uniform(
        middle_key, (2,), minval=-0.25, maxval=0.25
    )
    offsets = (
        jax.random.uniform(points_key, (_INNER_POINTS, 2), minval=-1.0) * ((high - low) / 3)[None]
    )
    return masks.hull(at, middle[None] + offsets)
