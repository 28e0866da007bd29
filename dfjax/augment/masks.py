"""Regions as fields [S, S]: how far a pixel lies inside, in units of the side; outside negative.

Fields are cheap to combine (the minimum is the intersection, the maximum the union), to grow and
shrink (a constant added), and to soften. `at` [2, S, S] holds x and y of every pixel.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from dfjax.models import layers

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


def wobble(at: jax.Array, key: jax.Array, *, amplitude: float, cells: int) -> jax.Array:
    """`at` displaced smoothly: fields that are read there have no straight edges.

    Args:
      at: [2, S, S].
      key: of this draw.
      amplitude: standard deviation of the displacement, in units of the side.
      cells: independent displacements along a side; between them, it is interpolated.
    """
    coarse = amplitude * jax.random.normal(key, (2, cells, cells))
    weights = layers.resize_weights(cells, at.shape[-1])
    rows = jnp.einsum("ij,ajk->aik", weights, coarse, precision="highest")
    return at + jnp.einsum("aik,lk->ail", rows, weights, precision="highest")


def soften(field: jax.Array, *, inset: jax.Array, width: jax.Array) -> jax.Array:
    """A mask [S, S] in 0..1 that rises smoothly from 0 at `inset` to 1 over `width` further inside.

    What a blur makes of a region's edge, but exactly 0 outside. Both are in units of the side; in a
    region too small for them they shrink, so that its middle is 1.
    """
    depth = jnp.maximum(field.max(), 1e-6)
    inset, width = jnp.minimum(inset, 0.2 * depth), jnp.minimum(width, 0.8 * depth)
    rise = jnp.clip((field - inset) / width, 0, 1)
    return rise**2 * (3 - 2 * rise)
