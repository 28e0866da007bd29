"""The seven distortions of DeeperForensics-1.0 (Jiang et al., CVPR 2020), at their five levels.

Parameters and operations are those of the benchmark's code (`perturbation/distortions.py`), and so
are names that mislead: "contrast" darkens, and what that code calls JPEG is pixelation. Different
are: pictures are RGB, not BGR; values are rounded and clipped, where saturation and contrast there
are cut to bytes, which wraps what leaves the range; blocks also reach the last row and column.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from dfjax.distortions.distortion import Distortion, of_picture
from dfjax.media import encode

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# RGB from Y, Cb and Cr, in full range, as OpenCV has them.
_TO_RGB = np.array([[1, 0, 1.403], [1, -0.344, -0.714], [1, 1.773, 0]], np.float32)
# The noise is of levels in studio range: 219 steps of luma and 224 of chroma stand for 255.
_STUDIO = np.array([219, 224, 224], np.float32) / 255

_BLOCK = 8  # pixels
_GREY = 128
WHOLE = 256  # pixels of the shorter side for which the levels of blocks were made


def saturate(image: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    """Multiplies the chroma: 0 is grey."""
    luma = (image @ _LUMA)[..., None]
    return _to_bytes(luma + factor * (image - luma))


def darken(image: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    """Multiplies all values: the benchmark's "contrast"."""
    return _to_bytes(image * np.float32(factor))


def add_blocks(image: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Covers `factor` random blocks for each whole 256 pixels of the shorter side.

    As in the benchmark, a picture with a shorter side gets none, and stays as it is.
    """
    return _cover(image, min(image.shape[:2]) // WHOLE * factor, rng)


def add_blocks_by_area(image: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Covers the share that `factor` blocks have of 256 x 256 pixels, whatever the size."""
    height, width = image.shape[:2]
    return _cover(image, round(factor * height * width / WHOLE**2), rng)


def _cover(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    covered = image.copy()
    height, width = image.shape[:2]
    tops = rng.integers(0, max(1, height - _BLOCK + 1), count)
    lefts = rng.integers(0, max(1, width - _BLOCK + 1), count)
    for top, left in zip(tops, lefts, strict=True):
        covered[top : top + _BLOCK, left : left + _BLOCK] = _GREY
    return covered


def add_noise(image: np.ndarray, variance: float, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise to Y, Cb and Cr in studio range; `variance` is that of values in 0..1."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(255 * variance**0.5)
    return _to_bytes(image + (noise / _STUDIO) @ _TO_RGB.T)


def blur(image: np.ndarray, side: int, _: np.random.Generator) -> np.ndarray:
    """Blurs by a Gaussian whose window has `side` pixels, a standard deviation of a sixth of it."""
    return cv2.GaussianBlur(image, (side, side), side / 6)


def pixelate(image: np.ndarray, divisor: int, _: np.random.Generator) -> np.ndarray:
    """Shrinks without a filter, then enlarges, both linearly: the benchmark's "JPEG"."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, width // divisor), max(1, height // divisor)))
    return cv2.resize(small, (width, height))


def compress(frames: Sequence[np.ndarray], crf: int, _: np.random.Generator) -> list[np.ndarray]:
    """Encodes the frames as H.264, by libx264 at its default preset, and decodes them."""
    return encode.recode_film(frames, "h264", crf)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


_BLOCKS = (16, 32, 48, 64, 80)

DISTORTIONS = (
    Distortion("saturation", "chroma factor", (0.4, 0.3, 0.2, 0.1, 0.0), of_picture(saturate)),
    Distortion("contrast", "factor", (0.85, 0.725, 0.6, 0.475, 0.35), of_picture(darken)),
    Distortion("blocks", "blocks per 256 px", _BLOCKS, of_picture(add_blocks)),
    Distortion("noise", "variance", (0.001, 0.002, 0.005, 0.01, 0.05), of_picture(add_noise)),
    Distortion("blur", "window in px", (7, 9, 13, 17, 21), of_picture(blur)),
    Distortion("pixelation", "divisor", (2, 3, 4, 5, 6), of_picture(pixelate)),
    Distortion("video_compression", "crf", (30, 32, 35, 38, 40), compress),
)
# Offered besides: "blocks" does nothing to crops of less than 256 pixels.
BY_AREA = Distortion(
    "blocks_by_area", "blocks per 256 x 256 px", _BLOCKS, of_picture(add_blocks_by_area)
)
