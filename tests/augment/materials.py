"""Crops for the tests of augmentation: drawn heads, and batches of pairs as from the loader."""

import functools

import cv2
import numpy as np

from dfjax.corpora.synthetic import corpus, settings

SIZE = 128
LANDMARKS = np.float32(  # dlib's five of a face in the middle of its crop
    [[0.66, 0.42], [0.58, 0.42], [0.34, 0.42], [0.42, 0.42], [0.5, 0.61]]
)


@functools.cache
def heads(count: int, size: int = SIZE, eyes: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Drawn heads uint8 [N, S, S, 3], eyes `eyes` sides apart, and their landmarks [N, 5, 2]."""
    images, landmarks = [], []
    for person in range(count):
        take = corpus.film(settings.Settings(frames=1), person, 0)
        pose = take.poses[0]
        scale = eyes * size / pose.scale
        move = np.array([[scale, 0, 0.5 * size - scale * pose.x], [0, scale, 0.42 * size]])
        move[1, 2] -= scale * pose.y
        images.append(cv2.warpAffine(take.frames[0], move, (size, size), flags=cv2.INTER_AREA))
        middle = np.array([0.5, 0.42])
        landmarks.append(middle + (LANDMARKS - middle) * eyes / 0.24)
    return np.stack(images), np.float32(landmarks)


def batch(
    images: np.ndarray, *, kind: int = 0, aligned: bool = False, landmarks: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """A batch of pairs from images [B, S, S, 3], of which every second one is the fake."""
    count = len(images)
    if landmarks is None:
        landmarks = np.tile(LANDMARKS, (count, 1, 1))
    return {
        "image": images,
        "label": np.arange(count, dtype=np.int32) % 2,
        "kind": np.full(count, kind, np.int32),
        "aligned": np.full(count, aligned),
        "landmarks": landmarks,
        "index": np.arange(count, dtype=np.int32) // 2,
    }


def twice(array: np.ndarray) -> np.ndarray:
    """Every row next to itself: the images of self-blended pairs."""
    return np.repeat(array, 2, axis=0)
