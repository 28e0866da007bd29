"""Aligned mixup: a fake fades into the real of the same frame and box (NtechLab, DFDC 2020).

What the two share, the background, stays as it is: only the forged face tells how fake a mixture
is. For two different pictures a soft label would mean nothing.
"""

import jax
import jax.numpy as jnp


def mix(
    planes: jax.Array, key: jax.Array, *, probability: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A pair [2, 3, S, S] whose fake is t * fake + (1 - t) * real, and t [].

    t is drawn from Beta(1/2, 1/2) with a `probability` [], else it is 1.
    """
    whether_key, share_key = jax.random.split(key)
    share = jnp.where(jax.random.bernoulli(whether_key, probability), beta_half(share_key), 1.0)
    real, fake = planes
    return jnp.stack([real, share * fake + (1 - share) * real]), share


def beta_half(key: jax.Array) -> jax.Array:
    """A draw [] from Beta(1/2, 1/2), by its quantile function: the arcsine law."""
    return jnp.sin(jax.random.uniform(key, maxval=jnp.pi / 2)) ** 2
