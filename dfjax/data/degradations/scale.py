"""Sizes that pictures have on their way, by the filters of the programs that change them."""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from dfjax.data.degradations.dice import Bounds, Dice, Operation

_FILTERS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)
_UP = 0.2  # of resizes


def draw_scaling(dice: Dice, down: Bounds, up: Bounds) -> Operation:
    """Returns a scaling by a factor of `down`, or seldom of `up`."""
    factor = dice.amount(up if dice.happens(_UP) else down)
    return scale_by(factor, draw_filter(dice))


def draw_filter(dice: Dice) -> int:
    """Returns an interpolation of OpenCV; two of them alias where they shrink, as many apps do."""
    return dice.choose(_FILTERS)


def scale_by(factor: float, interpolation: int) -> Operation:
    """Returns a scaling by a factor of both sides."""
    return functools.partial(_scale, factor=factor, interpolation=interpolation)


def keep_size(operations: Sequence[Operation], interpolation: int) -> Operation:
    """Returns what does the operations in order, and then returns to the image's size."""
    return functools.partial(_apply, operations=operations, interpolation=interpolation)


def _scale(image: np.ndarray, factor: float, interpolation: int) -> np.ndarray:
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return _resize(image, (width, height), interpolation)


def _apply(image: np.ndarray, operations: Sequence[Operation], interpolation: int) -> np.ndarray:
    size = image.shape[1::-1]
    for operation in operations:
        image = operation(image)
    return _resize(image, size, interpolation)


def _resize(image: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    if image.shape[1::-1] == size:
        return image
    return cv2.resize(image, size, interpolation=interpolation)
