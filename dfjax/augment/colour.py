"""Brightness, contrast, saturation and shifts of colour."""

import jax
import jax.numpy as jnp
import numpy as np

LUMA = np.float32([0.299, 0.587, 0.114])  # of RGB, ITU-R BT.601
_MIDDLE = 127.5


def recolour(image: jax.Array, key: jax.Array, strength: float) -> jax.Array:
    """The planes [3, S, S] with brightness, contrast and saturation times 1 ± `strength`."""
    brightness, contrast, saturation = 1 + jax.random.uniform(
        key, (3,), minval=-strength, maxval=strength
    )
    return adjust(image, brightness=brightness, contrast=contrast, saturation=saturation)


def adjust(
    image: jax.Array, *, brightness: jax.Array, contrast: jax.Array, saturation: jax.Array
) -> jax.Array:
    """The planes [3, S, S] times `brightness`, after contrast about mid-grey and saturation.

    Not clipped: later steps round once, at the end.
    """
    luma = jnp.tensordot(LUMA, image, 1)[None]
    saturated = luma + saturation * (image - luma)
    return brightness * (_MIDDLE + contrast * (saturated - _MIDDLE))
