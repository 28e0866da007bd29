"""What happens to pictures and films on their way through the world, at five levels each.

Codecs are real: what they encode is decoded again by the reader of everything else. The levels are
this program's own, from what nobody sees to what nobody would send.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from dfjax.distortions.distortion import Distortion, OfClip, of_picture
from dfjax.media import encode

# (long side in pixels, JPEG quality) of each time that a chat program sends a picture on. Sent
# again at the same quality, nearly nothing would be lost.
_SENDS = ((1280, 70), (1280, 60), (640, 50), (640, 40), (640, 30))

_CAPTIONS = ("BREAKING NEWS", "watch until the end!", "@the.real.account", "LIVE", "part 1/2")
_LETTERS = 0.06  # height of a line, as a share of the picture's
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22  # pixels of a capital letter at scale 1

_SHARPENING_SIGMA = 1.5  # pixels


def _recode_picture(codec: str) -> OfClip:
    return of_picture(lambda image, quality, _: encode.recode_picture(image, codec, quality))


def _recode_film(codec: str) -> OfClip:
    return lambda frames, crf, _: encode.recode_film(frames, codec, crf)


def compress_twice(
    image: np.ndarray, qualities: Sequence[int], _: np.random.Generator
) -> np.ndarray:
    """Encodes and decodes a picture as JPEG once for each quality, on one grid of blocks."""
    for quality in qualities:
        image = encode.recode_picture(image, "jpeg", quality)
    return image


def resize_often(image: np.ndarray, factors: Sequence[float], _: np.random.Generator) -> np.ndarray:
    """Shrinks a picture and enlarges it again, once for each factor of its sides."""
    height, width = image.shape[:2]
    for factor in factors:
        image = _scale(_scale(image, height * factor, width * factor), height, width)
    return image


def send(image: np.ndarray, times: int, _: np.random.Generator) -> np.ndarray:
    """Sends a picture on so often: shrunk to a longest side if it is longer, then JPEG."""
    for side, quality in _SENDS[:times]:
        height, width = image.shape[:2]
        factor = min(1.0, side / max(height, width))
        image = encode.recode_picture(
            _scale(image, height * factor, width * factor), "jpeg", quality
        )
    return image


def take_screenshot(
    image: np.ndarray, shown: tuple[float, float, float], _: np.random.Generator
) -> np.ndarray:
    """Takes a picture of a picture on a screen, and stores it without loss (PNG).

    `shown` is the factor at which it was scaled down before the screen scaled it up again, the
    gamma by which the screen is darker, and the share that is cut off at each side.
    """
    factor, gamma, cut = shown
    height, width = image.shape[:2]
    image = _scale(_scale(image, height * factor, width * factor), height, width)
    top, left = round(cut * height), round(cut * width)
    darker = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return darker[image[top : height - top, left : width - left]]


def write_captions(
    frames: Sequence[np.ndarray], lines: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Writes so many captions below each other, at the same random places in every frame."""
    texts = rng.choice(_CAPTIONS, lines).tolist()
    lefts = rng.uniform(0.0, 0.3, lines)
    bottoms = np.arange(lines) / lines + rng.uniform(_LETTERS, 1 / lines, lines)
    captions = list(zip(texts, lefts.tolist(), bottoms.tolist(), strict=True))
    return [functools.reduce(_write, captions, frame) for frame in frames]


def _write(image: np.ndarray, caption: tuple[str, float, float]) -> np.ndarray:
    """A picture with a caption, white with a black shadow, from its left end and lower edge on."""
    text, left, bottom = caption
    image, (height, width, _) = image.copy(), image.shape
    size = _LETTERS * height / _FONT_HEIGHT
    stroke = max(1, round(2 * size))
    for shift, value in ((stroke, 0), (0, 255)):
        corner = round(left * width) + shift, round(bottom * height) + shift
        cv2.putText(image, text, corner, _FONT, size, (value,) * 3, stroke, cv2.LINE_AA)
    return image


def sharpen(image: np.ndarray, amount: float, _: np.random.Generator) -> np.ndarray:
    """Adds so many times what a blur takes away (unsharp masking)."""
    smooth = cv2.GaussianBlur(image, (0, 0), _SHARPENING_SIGMA)
    return cv2.addWeighted(image, 1 + amount, smooth, -amount, 0)


def _scale(image: np.ndarray, height: float, width: float) -> np.ndarray:
    """Averages areas where it shrinks, cubic where it grows."""
    size = (max(1, round(width)), max(1, round(height)))
    if size == image.shape[1::-1]:
        return image
    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


_CHAINS = ((0.75,), (0.5, 0.75), (0.35, 0.5, 0.75), (0.25, 0.5, 0.75), (0.15, 0.35, 0.75))
_SCREENS = (
    (0.9, 1.05, 0.01),
    (0.7, 1.1, 0.02),
    (0.5, 1.15, 0.03),
    (0.35, 1.2, 0.04),
    (0.25, 1.3, 0.05),
)
_TWICE = ((90, 75), (75, 60), (60, 45), (45, 30), (30, 15))

DISTORTIONS = (
    Distortion("jpeg", "quality", (90, 70, 50, 30, 10), _recode_picture("jpeg")),
    Distortion("double_jpeg", "qualities", _TWICE, of_picture(compress_twice)),
    Distortion("webp", "quality", (90, 70, 50, 30, 10), _recode_picture("webp")),
    Distortion("avif", "quality", (80, 60, 45, 30, 15), _recode_picture("avif")),
    Distortion("h264", "crf", (18, 23, 28, 34, 40), _recode_film("h264")),
    Distortion("h265", "crf", (20, 26, 32, 38, 44), _recode_film("h265")),
    Distortion("resize_chain", "factors", _CHAINS, of_picture(resize_often)),
    Distortion("chat_app", "times sent", (1, 2, 3, 4, 5), of_picture(send)),
    Distortion("screenshot", "scale, gamma, cut", _SCREENS, of_picture(take_screenshot)),
    Distortion("text", "lines", (1, 2, 3, 4, 6), write_captions),
    Distortion("sharpening", "amount", (0.5, 1.0, 2.0, 3.0, 5.0), of_picture(sharpen)),
)
