"""Brightness, contrast, saturation and shifts of colour."""

import jax
import jax.numpy as jnp
import numpy as np

from dfjax.augment import geometry

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


def turn_hue(image: jax.Array, turn: jax.Array) -> jax.Array:
    """The planes [3, S, S] with all colours turned about grey.

    `turn` [] is the tangent of half the angle, as in `geometry.affine`.

    In the plane of the two colour differences of YIQ, so that the luma stays.
    """
    to_yiq = np.float32([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    cos, sin = geometry.cos_and_sin(turn)
    one, zero = jnp.ones(()), jnp.zeros(())
    rotation = jnp.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos]).reshape(3, 3)
    matrix = np.linalg.inv(to_yiq) @ rotation @ to_yiq
    red, green, blue = image
    return jnp.stack([row[0] * red + row[1] * green + row[2] * blue for row in matrix])
