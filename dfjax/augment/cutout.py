"""Parts of the face painted black, so that a network does not rest on one of them.

Face-Cutout (Das and Seferbekov et al., ICCVW 2021) hides a sensory part or a piece of the face's
hull; the winner of DFDC 2020 covers eyes, mouth or nose by bars. What was forged stays visible, or
the label would ask for what nobody can see.
"""

import jax
import jax.numpy as jnp

from dfjax.augment import difference, face, geometry, masks, regions

HIDDEN_LIMIT = 0.3  # share of the forged region that may be hidden (rho of the paper)
# Shares by which a region shrinks until it hides less: the paper dilates by w / 3 to w / 6.
_SIZES = (1.0, 0.75, 0.5)
_BLACK = 0.0
# A forged region is where the smoothed difference exceeds what a stored crop's JPEG makes of equal
# pixels, in grey levels.
_SAME = 2.0
_KINDS = (0.35, 0.35, 0.3)  # shares of sensory parts, of pieces of the hull, and of bars
_PIECE, _BAR = 1, 2
_PART_WIDTH = 1.4  # of a sensory part, by that of a bar


def forged(real: jax.Array, fake: jax.Array) -> jax.Array:
    """How much every pixel was changed, [S, S], from the planes [3, S, S] of an aligned pair."""
    return jnp.maximum(difference.smoothed(real, fake) - _SAME, 0)


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
    kind_key, which_key, angle_key, halves_key, piece_key = jax.random.split(key, 5)
    at, outline = jnp.asarray(geometry.grid(forged.shape[-1])), face.outline(landmarks)
    kind = jax.random.choice(kind_key, len(_KINDS), p=jnp.asarray(_KINDS))
    part = regions.part(
        at,
        face.parts(landmarks),
        jax.random.randint(which_key, (), 0, 3),
        width=jnp.where(kind == _BAR, 1.0, _PART_WIDTH),
    )
    angle = jax.random.uniform(angle_key, maxval=2 * jnp.pi)
    halves = jax.random.bernoulli(halves_key)
    within = jnp.where(
        halves, regions.half(at, outline, angle), regions.piece(at, outline, piece_key)
    )
    piece = jnp.minimum(masks.hull(at, outline), within)
    return _visible(jnp.where(kind == _PIECE, piece, part), forged)


def _visible(field: jax.Array, forged: jax.Array) -> jax.Array:
    """The largest region of a field that leaves the forged region visible enough."""
    total, depth = forged.sum(), field.max()
    chosen = jnp.zeros(field.shape, bool)
    for size in reversed(_SIZES):
        region = field > (1 - size) * depth
        fits = jnp.where(region, forged, 0).sum() <= HIDDEN_LIMIT * total
        chosen = jnp.where(fits, region, chosen)
    return chosen
