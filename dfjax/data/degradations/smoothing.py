"""Blur by a Gaussian along two axes, a round one, or a box, each as likely."""

import functools
import math

import cv2
import numpy as np

from dfjax.data.degradations.dice import Bounds, Dice, Operation

_BOX = math.sqrt(12)  # the side of a box, in standard deviations


def draw_smoothing(dice: Dice, sigma: Bounds) -> Operation:
    """Returns a blur; `sigma` bounds its standard deviation, as a share of the shorter side."""
    kind = dice.choose((smooth_along_axes, smooth, smooth_by_box))
    if kind is not smooth_along_axes:
        return functools.partial(kind, sigma=dice.amount(sigma))
    angle = dice.between((0.0, math.pi))
    return functools.partial(kind, sigmas=(dice.amount(sigma), dice.amount(sigma)), angle=angle)


def smooth_along_axes(image: np.ndarray, sigmas: tuple[float, float], angle: float) -> np.ndarray:
    """Blurs by a Gaussian that has one deviation along `angle` (radians) and one across it."""
    along, across = (share * min(image.shape[:2]) for share in sigmas)
    reach = np.arange(-math.ceil(3 * max(along, across)), math.ceil(3 * max(along, across)) + 1)
    x, y = np.meshgrid(reach, reach)
    turned = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel = np.exp(-((turned[0] / along) ** 2 + (turned[1] / across) ** 2) / 2)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs by a round Gaussian."""
    return cv2.GaussianBlur(image, (0, 0), sigma * min(image.shape[:2]))


def smooth_by_box(image: np.ndarray, sigma: float) -> np.ndarray:
    """Averages over the odd number of pixels a side whose deviation is nearest."""
    side = 2 * round((_BOX * sigma * min(image.shape[:2]) - 1) / 2) + 1
    return cv2.blur(image, (max(side, 1), max(side, 1)))
