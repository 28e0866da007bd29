"""Real codecs: what they encode is decoded again by the reader of everything else.

FFmpeg is loaded where it is used: trainings that degrade nothing do without.
"""

import functools

import cv2
import numpy as np

from dfjax.data.degradations.dice import Bounds, Dice, Operation

FILM_FRAMES = 5  # of the clip that a crop becomes: the middle one has frames before and after it


def recode(codec: str, quality: float) -> Operation:
    """Returns a pass through "jpeg", "webp" or "avif" at the encoder's quality, 0 to 100."""
    return functools.partial(_recode, codec=codec, quality=round(quality))


def draw_film(dice: Dice, crf: Bounds, motion: float) -> Operation:
    """Returns a pass through H.264 as a frame of a clip that moves.

    `motion` is the largest share of a side that it moves from one frame to the next.
    """
    shift = dice.between((-motion, motion)), dice.between((-motion, motion))
    return functools.partial(film, crf=round(dice.between(crf)), shift=shift)


def film(image: np.ndarray, crf: int, shift: tuple[float, float]) -> np.ndarray:
    """Returns the middle frame of a clip that moves by `shift` (x, y), shares of the sides.

    A record is one crop, so the other frames are the same crop moved. The middle one stays where it
    is; the encoder predicts it, or another from it, as in a film whose camera pans.
    """
    from dfjax.media import encode

    middle = FILM_FRAMES // 2
    frames = [_moved(image, shift, number - middle) for number in range(FILM_FRAMES)]
    return encode.recode_film(frames, "h264", crf)[middle]


def _recode(image: np.ndarray, codec: str, quality: int) -> np.ndarray:
    from dfjax.media import encode

    return encode.recode_picture(image, codec, quality)


def _moved(image: np.ndarray, shift: tuple[float, float], times: int) -> np.ndarray:
    height, width, _ = image.shape
    matrix = np.array([[1, 0, times * shift[0] * width], [0, 1, times * shift[1] * height]])
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
