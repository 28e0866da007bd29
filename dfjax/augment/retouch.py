"""Changes that tell the face of a blend from its surroundings: of colour, and of detail.

The list of SBI (Shiohara and Yamasaki, CVPR 2022), and a family that smooths: a network that saw
only rougher fakes would call a smooth one more real than a real.
"""

import jax
import jax.numpy as jnp
import numpy as np

from dfjax.augment import colour, filters
from dfjax.models import layers

# SBI's limits.
_RGB_SHIFT = 20.0  # grey levels, of each channel
_RGB_SHIFT_SHARE = 0.3
_BRIGHTNESS = _CONTRAST = 0.1
_SATURATION = 0.15
_HUE = 0.05  # tangent of half the angle
# Of each kind of change of detail: down and up again, sharpened, smoothed evenly, and smoothed
# between edges.
_DETAIL = (0.3, 0.3, 0.2, 0.2)
_DOWN = (1.5, 2.0, 3.0, 4.0)  # by how much
_SHARPEN = (0.2, 0.8)  # of the difference from the local mean that is added
_SOFT_SIGMA = (0.5, 1.5)  # pixels
_SOFT_RADIUS = 3  # pixels, of filters
_EDGE = (3.0, 15.0)  # grey levels: edges below are smoothed away


def retouch(image: jax.Array, key: jax.Array) -> jax.Array:
    """The planes [3, S, S] with other colours and other detail, clipped to 0..255."""
    colour_key, detail_key = jax.random.split(key)
    return jnp.clip(_change_detail(_change_colour(image, colour_key), detail_key), 0, 255)


def match_colour(image: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """The planes [3, S, S] with the target's mean and deviation of each channel.

    Both are taken where `weight` [S, S] is (Reinhard et al. 2001, in RGB). The face of one person
    then has the light of another's picture.
    """
    mean, deviation = _statistics(image, weight)
    goal, spread = _statistics(target, weight)
    ratio = jnp.clip(spread / deviation, 0.5, 2.0)
    return jnp.clip(goal + (image - mean) * ratio, 0, 255)


def _statistics(image: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    weight = (weight / jnp.maximum(weight.sum(), 1e-6))[None]
    mean = (image * weight).sum((1, 2), keepdims=True)
    variance = ((image - mean) ** 2 * weight).sum((1, 2), keepdims=True)
    return mean, jnp.sqrt(variance + 1.0)


def _change_colour(image: jax.Array, key: jax.Array) -> jax.Array:
    shift_key, whether_key, hue_key, factors_key = jax.random.split(key, 4)
    shift = jax.random.uniform(shift_key, (3, 1, 1), minval=-_RGB_SHIFT, maxval=_RGB_SHIFT)
    image = image + shift * jax.random.bernoulli(whether_key, _RGB_SHIFT_SHARE)
    image = colour.turn_hue(image, jax.random.uniform(hue_key, minval=-_HUE, maxval=_HUE))
    limits = jnp.array([_BRIGHTNESS, _CONTRAST, _SATURATION])
    brightness, contrast, saturation = 1 + limits * jax.random.uniform(
        factors_key, (3,), minval=-1.0
    )
    return colour.adjust(image, brightness=brightness, contrast=contrast, saturation=saturation)


def _change_detail(image: jax.Array, key: jax.Array) -> jax.Array:
    kind_key, down_key, sigma_key, amount_key, edge_key = jax.random.split(key, 5)
    sigma = jax.random.uniform(sigma_key, minval=_SOFT_SIGMA[0], maxval=_SOFT_SIGMA[1])
    amount = jax.random.uniform(amount_key, minval=_SHARPEN[0], maxval=_SHARPEN[1])
    edge = jax.random.uniform(edge_key, minval=_EDGE[0], maxval=_EDGE[1])
    soft = filters.gaussian(image, sigma, radius=_SOFT_RADIUS)
    which = jax.random.randint(down_key, (), 0, len(_DOWN))
    changed = (
        _down_and_up(image, which),
        image + amount * (image - soft),
        soft,
        filters.guided(image, edge, radius=_SOFT_RADIUS - 1),
    )
    kind = jax.random.choice(kind_key, len(_DETAIL), p=jnp.asarray(_DETAIL))
    return jax.lax.select_n(kind, *changed)


def _down_and_up(image: jax.Array, which: jax.Array) -> jax.Array:
    """The planes [3, S, S] at a smaller size, by a factor of `_DOWN`, and back."""
    size = image.shape[-1]
    both_ways = np.stack([_both_ways(size, round(size / factor)) for factor in _DOWN])
    weights = jnp.asarray(both_ways)[which]
    rows = jnp.einsum("ab,cbx->cax", weights, image)
    return jnp.einsum("cax,yx->cay", rows, weights)


def _both_ways(size: int, small: int) -> np.ndarray:
    return layers.resize_weights(small, size) @ layers.resize_weights(size, small)
