"""ROC and precision-recall curves at fixed places, so that those of resamples make a band."""

import numpy as np

from dfjax.metrics.ranking import Ranked

POINTS = 200
# Dense where false positive rates are small, which is where detectors work.
FALSE_POSITIVE_RATES = np.linspace(0, 1, POINTS) ** 2
RECALLS = np.linspace(0, 1, POINTS)

_ROUNDING = 1e-12


def roc(ranked: Ranked) -> np.ndarray:
    """Returns the highest TPR at each of `FALSE_POSITIVE_RATES`, [POINTS, ...]."""
    return _read(ranked.fpr, ranked.tpr, FALSE_POSITIVE_RATES + _ROUNDING, "right", -1)


def precision_recall(ranked: Ranked) -> np.ndarray:
    """Returns the precision of the highest threshold with each of `RECALLS`, [POINTS, ...]."""
    return _read(ranked.tpr[1:], ranked.precision, RECALLS - _ROUNDING, "left", 0)


def _read(x: np.ndarray, y: np.ndarray, places: np.ndarray, side: str, shift: int) -> np.ndarray:
    """y where the rising x, [K, ...], passes each of `places`."""
    flat_x, flat_y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    found = np.full((POINTS, flat_x.shape[1]), np.nan)
    for column in np.flatnonzero(~np.isnan(flat_x[-1])):
        at = np.searchsorted(flat_x[:, column], places, side) + shift
        found[:, column] = flat_y[np.minimum(at, len(y) - 1), column]
    return found.reshape(POINTS, *x.shape[1:])
