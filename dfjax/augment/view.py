"""One crop as another camera, another moment and another file would show it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dfjax.augment import colour, filters, geometry, jpeg, noise
from dfjax.augment.settings import Settings

BLUR_SIGMA = (0.3, 1.2)  # pixels
JPEG_QUALITY = (40, 100)
_BLUR_RADIUS = 4  # pixels, beyond three deviations of the widest


def view(image: jax.Array, key: jax.Array, settings: Settings) -> jax.Array:
    """The planes [3, S, S] moved, recoloured, blurred, with noise, and last through a JPEG file."""
    motion_key, colour_key, blur_key, noise_key, jpeg_key = jax.random.split(key, 5)
    if settings.moves:
        image = geometry.warp(image, geometry.draw_motion(motion_key, settings))
    if settings.colour:
        image = colour.recolour(image, colour_key, settings.colour)
    image = _sometimes(settings.blur, _blur, image, blur_key)
    image = _sometimes(settings.noise, noise.add, image, noise_key)
    return _sometimes(settings.jpeg, _compress, image, jpeg_key)


def _sometimes(
    probability: float,
    change: Callable[[jax.Array, jax.Array], jax.Array],
    image: jax.Array,
    key: jax.Array,
) -> jax.Array:
    if not probability:
        return image
    whether_key, change_key = jax.random.split(key)
    return jnp.where(
        jax.random.bernoulli(whether_key, probability), change(image, change_key), image
    )


def _blur(image: jax.Array, key: jax.Array) -> jax.Array:
    low, high = BLUR_SIGMA
    sigma = jax.random.uniform(key, minval=low, maxval=high)
    return filters.gaussian(image, sigma, radius=_BLUR_RADIUS)


def _compress(image: jax.Array, key: jax.Array) -> jax.Array:
    low, high = JPEG_QUALITY
    quality = jax.random.randint(key, (), low, high + 1).astype(jnp.float32)
    return jpeg.round_trip(image, quality)
