"""Filters of planes."""

import jax
import jax.numpy as jnp


def gaussian(image: jax.Array, sigma: jax.Array, *, radius: int) -> jax.Array:
    """Planes [C, S, S] blurred by a Gaussian of `sigma` pixels [], cut off at `radius` pixels.

    Reflected at the border, as OpenCV does it.
    """
    taps = jnp.exp(-0.5 * (jnp.arange(-radius, radius + 1) / sigma) ** 2)
    return _separable(image, taps / taps.sum(), radius)


def box(image: jax.Array, *, radius: int) -> jax.Array:
    """The mean of planes [C, S, S] over 2 * radius + 1 pixels both ways, as `gaussian` pads."""
    width = 2 * radius + 1
    return _separable(image, jnp.full(width, 1 / width), radius)


def _separable(image: jax.Array, taps: jax.Array, radius: int) -> jax.Array:
    size = image.shape[-1]
    pad = (radius, radius)
    padded = jnp.pad(image, ((0, 0), pad, pad), mode="reflect")
    # Shifted sums: a convolution of single channels is slower on every processor.
    columns = sum(taps[k] * padded[:, k : k + size] for k in range(2 * radius + 1))
    return sum(taps[k] * columns[:, :, k : k + size] for k in range(2 * radius + 1))


def guided(image: jax.Array, edge: jax.Array, *, radius: int) -> jax.Array:
    """Planes [C, S, S] smoothed where they vary by less than `edge` grey levels [], edges kept.

    The guided filter of each plane by itself (He, Sun and Tang, ECCV 2010): what a bilateral filter
    does, from means over boxes alone.
    """
    mean = box(image, radius=radius)
    variance = jnp.maximum(box(image**2, radius=radius) - mean**2, 0)
    gain = variance / (variance + edge**2)
    return box(gain, radius=radius) * image + box(mean - gain * mean, radius=radius)
