"""Where the parts of a face are, from whatever landmarks a crop has."""

import jax
import jax.numpy as jnp
import numpy as np

LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH = range(5)  # as the picture shows them
_POINTS_OF_68 = (
    np.arange(36, 42),
    np.arange(42, 48),
    np.arange(30, 36),
    np.array([48, 60]),
    np.array([54, 64]),
)
# In units of the distance of the eyes, from their middle, x to the right and y down.
# The five points: the 112-pixel template of ArcFace (Deng et al. 2019).
_TEMPLATE = np.float32([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.57], [-0.41, 1.155], [0.41, 1.155]])
# dlib's five landmarks end at the nose base, below the template's tip (see `faces.align`).
_NOSE_BASE = 0.77
# The outline of a face seen from the front: brows, then the jaw, as dlib's 68 landmarks run.
_OUTLINE = np.float32(
    [
        *([-0.88, -0.33], [-0.5, -0.46], [0.0, -0.4], [0.5, -0.46], [0.88, -0.33]),
        *([1.15, 0.1], [1.08, 0.65], [0.9, 1.15], [0.55, 1.6], [0.0, 1.78]),
        *([-0.55, 1.6], [-0.9, 1.15], [-1.08, 0.65], [-1.15, 0.1]),
    ]
)
# The eyes of a crop without landmarks: where a crop at `CropSpec.scale` 1.3 has them.
_USUAL_EYES = np.float32([[0.378, 0.47], [0.62, 0.47]])
_STRETCH = (0.7, 1.3)  # of the height below the eyes, in faces that look up or down


def parts(landmarks: jax.Array) -> jax.Array:
    """The centres of the eyes, the nose and the mouth's corners [5, 2] of a face.

    `landmarks` are dlib's 68 or 5, [L, 2], or none: then the face is where crops usually have it.
    Five know nothing of the mouth: it is as far below the eyes as the nose base tells.
    """
    if len(landmarks) == 68:
        return jnp.stack([landmarks[points].mean(0) for points in _POINTS_OF_68])
    if len(landmarks) == 0:
        return _place(_TEMPLATE, *_frame(jnp.asarray(_USUAL_EYES)))
    right, left, nose = landmarks[0:2].mean(0), landmarks[2:4].mean(0), landmarks[4]
    origin, axes = _frame(jnp.stack([left, right]))
    depth = jnp.dot(nose - origin, axes[1]) / jnp.dot(axes[1], axes[1])
    return _place(_stretched(_TEMPLATE, depth / _NOSE_BASE), origin, axes)


def outline(landmarks: jax.Array) -> jax.Array:
    """Points [P, 2] whose convex hull is the face: the landmarks if there are 68.

    Else those of a usual face, placed by `parts`.
    """
    if len(landmarks) == 68:
        return landmarks
    points = parts(landmarks)
    origin, axes = _frame(points[:2])
    mouth = points[LEFT_MOUTH:].mean(0) - origin
    depth = jnp.dot(mouth, axes[1]) / jnp.dot(axes[1], axes[1])
    return _place(_stretched(_OUTLINE, depth / _TEMPLATE[LEFT_MOUTH, 1]), origin, axes)


def _frame(eyes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The middle [2] of the eyes [2, 2], and vectors [2, 2] from eye to eye and as far down."""
    across = eyes[1] - eyes[0]
    return eyes.mean(0), jnp.stack([across, jnp.stack([-across[1], across[0]])])


def _place(points: jax.Array, origin: jax.Array, axes: jax.Array) -> jax.Array:
    return origin[None] + jnp.einsum("pa,ax->px", points, axes, precision="highest")


def _stretched(points: np.ndarray, factor: jax.Array) -> jax.Array:
    below = jnp.asarray(points[:, 1]) > 0
    factor = jnp.where(below, jnp.clip(factor, *_STRETCH), 1.0)
    return jnp.stack([points[:, 0], points[:, 1] * factor], 1)
