"""Regions as fields [S, S]: how far a pixel lies inside, in units of the side; outside negative.

Fields are cheap to combine (the minimum is the intersection, the maximum the union), to grow and
shrink (a constant added), and to soften. `at` [2, S, S] holds x and y of every pixel.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

_ANGLES = np.arange(24) * (2 * np.pi / 24)  # of the half planes that a hull is made of
_NORMALS = np.float32(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1))


def hull(at: jax.Array, points: jax.Array) -> jax.Array:
    """The convex hull of points [P, 2], between its supporting lines in 24 directions."""
    support = jnp.einsum("kx,px->kp", _NORMALS, points, precision="highest").max(1)
    # Unrolled: as a reduction over [K, S, S] it would cost thirteen times as much on a CPU.
    lines = zip(support, _NORMALS, strict=True)
    return functools.reduce(jnp.minimum, (s - (x * at[0] + y * at[1]) for s, (x, y) in lines))


def half_plane(at: jax.Array, point: jax.Array, angle: jax.Array) -> jax.Array:
    """The side of the line through a point [2] to which the direction `angle` [] points."""
    return (at[0] - point[0]) * jnp.cos(angle) + (at[1] - point[1]) * jnp.sin(angle)


def bar(at: jax.Array, start: jax.Array, end: jax.Array, radius: jax.Array) -> jax.Array:
    """All within `radius` [] of the line from point `start` [2] to point `end` [2]."""
    along = end - start
    x, y = at[0] - start[0], at[1] - start[1]
    length = jnp.maximum(jnp.dot(along, along), 1e-12)
    share = jnp.clip((x * along[0] + y * along[1]) / length, 0, 1)
    return radius - jnp.hypot(x - share * along[0], y - share * along[1])
