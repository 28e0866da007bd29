"""Noise of sensors."""

import jax
import jax.numpy as jnp

# Standard deviation in grey levels; beyond, a face of 100 pixels is hidden rather than noisy.
WEAKEST, STRONGEST = 1.0, 12.0
_GREY = 0.5  # share of images whose channels get the same noise


def add(image: jax.Array, key: jax.Array) -> jax.Array:
    """The planes [3, S, S] with nearly normal noise of a random strength, coloured or grey."""
    strength_key, grey_key, field_key = jax.random.split(key, 3)
    deviation = jax.random.uniform(strength_key, minval=WEAKEST, maxval=STRONGEST)
    field = _nearly_normal(field_key, image.shape)
    grey = jax.random.bernoulli(grey_key, _GREY)
    return image + deviation * jnp.where(grey, field[:1], field)


def _nearly_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Values of mean 0 and variance 1: sums of four uniform bytes, a quarter of a normal's price.

    Such a sum is never beyond 3.5 standard deviations; its density differs by 0.01 at most.
    """
    bits = jax.random.bits(key, shape, jnp.uint32)
    total = sum((bits >> shift) & 0xFF for shift in (0, 8, 16, 24)).astype(jnp.float32)
    variance = 4 * (256**2 - 1) / 12
    return (total - 4 * 127.5) / variance**0.5
