"""Fakes made from reals: a face blended onto a face (SBI; Shiohara and Yamasaki, CVPR 2022).

What a blend leaves behind, and nothing else, tells the two of a pair apart. So the real is the very
picture that the fake is blended onto, transformed or not, and outside the mask they are the same
bits; what comes after, up to the last compression, is drawn once for both (`batch`). A fake that is
encoded once more than its real is told by any block of the background, and teaches only that.
"""

import jax
import jax.numpy as jnp

from dfjax.augment import face, geometry, masks, regions, retouch
from dfjax.data import sampling

# How much of the source shows: in half of the blends all of it.
_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
# SBI's limits of the source's misplacement, by the side; also of neighbouring frames, whose faces
# were never quite in the same place.
_SHIFT = (0.03, 0.015)
_SCALE = 0.05
# Of the masks: the whole face, its lower half, some of its parts, and a piece of it.
_MASKS = (0.5, 0.15, 0.2, 0.15)
_JITTER = 0.06  # deviation of the outline's points, by the face's width
_GROWTH = (0.75, 1.1)  # of the outline's width and height
_PART_WIDTH = (1.0, 2.0)  # see `regions.part`
_PART_SHARE = 0.6  # probability of each part
_WOBBLE, _WOBBLE_CELLS = 0.008, 12  # see `masks.wobble`; SBI's elastic deformation is about that
_INSET = (0.0, 0.04)  # see `masks.soften`; what SBI's two blurs make of an edge
_WIDTH = (0.02, 0.12)


def blend(planes: jax.Array, landmarks: jax.Array, key: jax.Array, *, kind: jax.Array) -> jax.Array:
    """The real and the fake [2, 3, S, S] of a target and a source [2, 3, S, S].

    Args:
      planes: the target, which is a real crop, and the source, whose face is blended onto it.
      landmarks: of both, [2, L, 2].
      key: of this draw.
      kind: of the pair, [].
    """
    mask_key, retouch_key, side_key, place_key, ratio_key = jax.random.split(key, 5)
    target, source = planes
    mask = draw_mask(landmarks[0], planes.shape[-1], mask_key)
    matched = retouch.match_colour(source, target, mask)
    source = jnp.where(kind == sampling.CROSS_BLEND, matched, source)
    on_source = jax.random.bernoulli(side_key)
    changed = retouch.retouch(jnp.where(on_source, source, target), retouch_key)
    source = geometry.warp(jnp.where(on_source, changed, source), _misplacement(place_key))
    target = jnp.where(on_source, target, changed)
    weight = mask * jax.random.choice(ratio_key, jnp.asarray(_RATIOS))
    return jnp.stack([target, target + weight[None] * (source - target)])


def draw_mask(landmarks: jax.Array, size: int, key: jax.Array) -> jax.Array:
    """A random mask [S, S] in 0..1 of the face with these landmarks [L, 2] in a crop of `size`."""
    kind_key, outline_key, part_key, piece_key, wobble_key, edge_key = jax.random.split(key, 6)
    at = masks.wobble(
        jnp.asarray(geometry.grid(size)), wobble_key, amplitude=_WOBBLE, cells=_WOBBLE_CELLS
    )
    outline = _vary(face.outline(landmarks), outline_key)
    whole = masks.hull(at, outline)
    fields = (
        whole,
        jnp.minimum(whole, regions.half(at, outline, jnp.pi / 2)),
        _some_parts(at, face.parts(landmarks), part_key),
        jnp.minimum(whole, regions.piece(at, outline, piece_key)),
    )
    kind = jax.random.choice(kind_key, len(_MASKS), p=jnp.asarray(_MASKS))
    low, high = jnp.array([_INSET, _WIDTH]).T
    inset, width = jax.random.uniform(edge_key, (2,), minval=low, maxval=high)
    return masks.soften(jax.lax.select_n(kind, *fields), inset=inset, width=width)


def _vary(outline: jax.Array, key: jax.Array) -> jax.Array:
    """An outline [P, 2] narrower or wider, lower or higher, with every point moved a little."""
    growth_key, jitter_key = jax.random.split(key)
    low, high = outline.min(0), outline.max(0)
    middle = (low + high)[None] / 2
    growth = jax.random.uniform(growth_key, (1, 2), minval=_GROWTH[0], maxval=_GROWTH[1])
    jitter = _JITTER * (high - low)[:1, None] * jax.random.normal(jitter_key, outline.shape)
    return middle + growth * (outline - middle) + jitter


def _some_parts(at: jax.Array, points: jax.Array, key: jax.Array) -> jax.Array:
    """Some of the eyes, the nose and the mouth, at least one of them."""
    which_key, width_key, first_key = jax.random.split(key, 3)
    widths = jax.random.uniform(width_key, (3,), minval=_PART_WIDTH[0], maxval=_PART_WIDTH[1])
    first = jax.random.randint(first_key, (), 0, 3)
    chosen = jax.random.bernoulli(which_key, _PART_SHARE, (3,)) | (jnp.arange(3) == first)
    fields = [regions.part(at, points, which, width=widths[which]) for which in range(3)]
    return jnp.where(chosen[:, None, None], jnp.stack(fields), -1.0).max(0)


def _misplacement(key: jax.Array) -> jax.Array:
    """A small motion [2, 3] of the source."""
    shift_key, scale_key = jax.random.split(key)
    shift = jnp.array(_SHIFT) * jax.random.uniform(shift_key, (2,), minval=-1.0)
    scale = jax.random.uniform(scale_key, minval=1 - _SCALE, maxval=1 + _SCALE)
    return geometry.affine(turn=jnp.zeros(()), scale=scale, shift=shift)
