"""Parts of the face painted black, so that a network does not rest on one of them.

Face-Cutout (Das and Seferbekov et al., ICCVW 2021) hides a sensory part or a piece of the face's
hull; the winner of DFDC 2020 covers eyes, mouth or nose by bars. What was forged stays visible, or
the label would ask for what nobody can see.
"""

import jax
import jax.numpy as jnp

from dfjax.augment import face, filters, geometry, masks

HIDDEN_LIMIT = 0.3  # share of the forged region that may be hidden (rho of the paper)
# Shares by which a region shrinks until it hides less: the paper dilates by w / 3 to w / 6.
_SIZES = (1.0, 0.75, 0.5)
_BLACK = 0.0
# A forged region is where the smoothed difference exceeds what a stored crop's JPEG makes of equal
# pixels, in grey levels.
_SAME = 2.0
_SMOOTHING = 2  # pixels, radius
_KINDS = (0.35, 0.35, 0.3)  # shares of sensory parts, pieces of the hull, and bars


def forged(real: jax.Array, fake: jax.Array) -> jax.Array:
    """How much every pixel was changed, [S, S], from the planes [3, S, S] of an aligned pair."""
    difference = jnp.abs(fake - real).mean(0, keepdims=True)
    return jnp.maximum(filters.box(difference, radius=_SMOOTHING)[0] - _SAME, 0)


def hide(
    image: jax.Array,
    landmarks: jax.Array,
    key: jax.Array,
    *,
    forged: jax.Array,
    probability: float,
) -> jax.Array:
    """The planes [3, S, S] with a random part of the face painted black, or as they are.

    Args:
      image: planes [3, S, S].
      landmarks: of the face, [L, 2].
      key: of this draw.
      forged: how much every pixel was changed, [S, S]; at most `HIDDEN_LIMIT` of it is hidden, and
        nothing where even a small region would hide more.
      probability: of hiding a part.
    """
    whether_key, region_key = jax.random.split(key)
    hidden = draw(landmarks, forged, region_key) & jax.random.bernoulli(whether_key, probability)
    return jnp.where(hidden[None], _BLACK, image)


def draw(landmarks: jax.Array, forged: jax.Array, key: jax.Array) -> jax.Array:
    """The region bool [S, S] that `hide` hides."""
    kind_key, part_key, piece_key = jax.random.split(key, 3)
    at = jnp.asarray(geometry.grid(forged.shape[-1]))
    kind = jax.random.choice(kind_key, len(_KINDS), p=jnp.asarray(_KINDS))
    part = _part(at, face.parts(landmarks), part_key, is_bar=kind == 2)
    piece = _piece(at, face.outline(landmarks), piece_key)
    return _visible(jnp.where(kind == 1, piece, part), forged)


def _part(at: jax.Array, points: jax.Array, key: jax.Array, *, is_bar: jax.Array) -> jax.Array:
    """The eyes, the nose or the mouth, each as a bar; a sensory part is wider than a bar."""
    left, right, nose, left_mouth, right_mouth = points
    width = face.eye_distance(points)
    mouth = jnp.linalg.norm(right_mouth - left_mouth)
    # The winner's widths: a quarter of the eyes' distance, a third of the mouth's.
    starts = jnp.stack([left, (left + right) / 2, left_mouth])
    ends = jnp.stack([right, nose, right_mouth])
    radii = jnp.stack([width / 4, width / 4, mouth / 3]) * jnp.where(is_bar, 1.0, 1.4)
    which = jax.random.randint(key, (), 0, 3)
    return masks.bar(at, starts[which], ends[which], radii[which])


def _piece(at: jax.Array, outline: jax.Array, key: jax.Array) -> jax.Array:
    """Half of the face's hull, or the hull of some random points within."""
    half_key, angle_key, choice_key = jax.random.split(key, 3)
    whole = masks.hull(at, outline)
    angle = jax.random.uniform(angle_key, maxval=2 * jnp.pi)
    half = masks.half_plane(at, outline.mean(0), angle)
    within = masks.hull(at, _random_points(outline, half_key))
    halves = jax.random.bernoulli(choice_key)
    return jnp.minimum(whole, jnp.where(halves, half, within))


def _random_points(outline: jax.Array, key: jax.Array) -> jax.Array:
    """Nine points in the box of an outline [P, 2], a third of its size about a random middle."""
    middle_key, points_key = jax.random.split(key)
    low, high = outline.min(0), outline.max(0)
    middle = jax.random.uniform(middle_key, (2,), minval=low, maxval=high)
    spread = (high - low) / 3
    return middle[None] + jax.random.uniform(points_key, (9, 2), minval=-1.0) * spread[None]


def _visible(field: jax.Array, forged: jax.Array) -> jax.Array:
    """The largest region of a field that leaves the forged region visible enough."""
    total, depth = forged.sum(), field.max()
    chosen = jnp.zeros(field.shape, bool)
    for size in reversed(_SIZES):
        region = field > (1 - size) * depth
        fits = jnp.where(region, forged, 0).sum() <= HIDDEN_LIMIT * total
        chosen = jnp.where(fits, region, chosen)
    return chosen
