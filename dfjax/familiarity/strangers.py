"""Crops that are no faces of the training data, made from them and from nothing.

What they have in common is only that no camera took them: a gate learns from them in which
directions a stranger leaves the training data (outlier exposure, Hendrycks et al.,
arXiv:1812.04606). What a user's strangers are like is not known, and not among them.
"""

import cv2
import numpy as np


def make(crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a stranger for each of the crops, uint8 [N, S, S, 3]: of every kind as many."""
    kinds = [_KINDS[number % len(_KINDS)] for number in range(len(crops))]
    return np.stack([kind(crop, rng) for kind, crop in zip(kinds, crops, strict=True)])


def _halves(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _shuffled(crop, 2, rng)


def _quarters(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _shuffled(crop, 4, rng)


def _shuffled(crop: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The crop cut into `count` x `count` blocks that change places."""
    side = crop.shape[0] // count
    cut = crop[: side * count, : side * count].reshape(count, side, count, side, 3)
    blocks = cut.swapaxes(1, 2).reshape(-1, side, side, 3)
    cycle = rng.permutation(len(blocks))  # in one cycle, no block stays
    moved = np.empty_like(blocks)
    moved[cycle] = blocks[np.roll(cycle, 1)]
    rows = moved.reshape(count, count, side, side, 3).swapaxes(1, 2)
    whole = rows.reshape(count * side, count * side, 3)
    return cv2.resize(whole, crop.shape[:2], interpolation=cv2.INTER_NEAREST)


def _turned(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The crop on its left or on its right side."""
    return np.rot90(crop, rng.choice((1, 3)))


def _leaning(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The crop turned by 40 to 150 degrees, either way."""
    side = crop.shape[0]
    angle = rng.choice((-1, 1)) * rng.uniform(40, 150)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    return cv2.warpAffine(crop, turn, (side, side), borderMode=cv2.BORDER_REFLECT)


def _rolled(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The crop moved down by a quarter to three quarters; what leaves below comes in above."""
    return np.roll(crop, int(crop.shape[0] * rng.uniform(0.25, 0.75)), axis=0)


def _mirrored(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The upper or the lower half of the crop, and below or above it its reflection."""
    half = crop.shape[0] // 2
    made = crop.copy()
    if rng.random() < 0.5:
        made[-half:] = crop[:half][::-1]
    else:
        made[:half] = crop[-half:][::-1]
    return made


def _banded(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The crop in two to four bands, each of them upside down."""
    bands = np.array_split(crop, int(rng.integers(2, 5)))
    return np.concatenate([band[::-1] for band in bands])


def _mosaic(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The crop in 6 to 20 tiles per side, each of one colour."""
    count = int(rng.integers(6, 21))
    tiles = cv2.resize(crop, (count, count), interpolation=cv2.INTER_AREA)
    return cv2.resize(tiles, crop.shape[:2], interpolation=cv2.INTER_NEAREST)


def _distant(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The crop as if its face had been 8 to 16 pixels wide, enlarged."""
    count = int(rng.integers(8, 17))
    small = cv2.resize(crop, (count, count), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, crop.shape[:2], interpolation=cv2.INTER_CUBIC)


def _negative(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    del rng
    return 255 - crop


def _gradient(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Four colours, one for each corner, that run into each other."""
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    return cv2.resize(corners, crop.shape[:2]).clip(0, 255).astype(np.uint8)


def _blobs(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coloured clouds of any size and contrast."""
    noise = rng.standard_normal(crop.shape).astype(np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), crop.shape[0] * rng.uniform(0.02, 0.12))
    clouds *= rng.uniform(20, 60) / clouds.std()
    return (clouds + rng.uniform(60, 190)).clip(0, 255).astype(np.uint8)


_KINDS = (
    _halves,
    _quarters,
    _turned,
    _leaning,
    _rolled,
    _mirrored,
    _banded,
    _mosaic,
    _distant,
    _negative,
    _gradient,
    _blobs,
)
