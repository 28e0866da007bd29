"""Brightness and contrast, as apps and screens change them."""

import functools

import numpy as np

from dfjax.data.degradations.dice import Bounds, Dice, Operation

_MID_GRAY = 127.5


def draw_tone(dice: Dice, change: Bounds) -> Operation:
    """Returns a change of brightness or of contrast, by a share up or down."""
    factor = 1 + dice.choose((-1, 1)) * dice.amount(change)
    return functools.partial(change_tone, factor=factor, contrast=dice.happens(0.5))


def change_tone(image: np.ndarray, factor: float, contrast: bool) -> np.ndarray:
    """Multiplies the values; for contrast their distances from mid-gray."""
    centre = _MID_GRAY if contrast else 0.0
    levels = np.rint(centre + factor * (np.arange(256) - centre))
    return levels.clip(0, 255).astype(np.uint8)[image]
