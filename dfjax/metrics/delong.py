"""The variance of AUCs, and whether two on the same cases differ (DeLong et al., 1988).

In the form of Sun & Xu (IEEE Signal Processing Letters, 2014), which ranks instead of comparing
each fake with each real. Cases count as independent: compare videos rather than frames.
"""

import dataclasses

import numpy as np
from scipy import special, stats

from dfjax.metrics import inputs


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two AUCs on the same cases.

    Attributes:
      auc: of either.
      standard_error: of their difference; None: a class has one case.
      p_value: two-sided, of the AUCs being equal; None where nothing varies and they differ.
    """

    auc: tuple[float, float]
    standard_error: float | None
    p_value: float | None


def aucs(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the AUCs [M], their covariance [M, M]) of scores [M, N] of the same cases.

    Raises as `inputs.checked`; the covariance is NaN where a class has one case.
    """
    checked = [inputs.checked(label, score) for score in scores]
    label, scores = checked[0][0], np.stack([score for _, score in checked])
    fake, real = scores[:, label == 1], scores[:, label == 0]
    # The share of the other class that each case is ranked above, ties counted half.
    of_all = stats.rankdata(np.concatenate([fake, real], axis=1), axis=1)
    above = (of_all[:, : fake.shape[1]] - stats.rankdata(fake, axis=1)) / real.shape[1]
    below = 1 - (of_all[:, fake.shape[1] :] - stats.rankdata(real, axis=1)) / fake.shape[1]
    covariance = _covariance(above) + _covariance(below)
    return above.mean(axis=1), covariance


def _covariance(placements: np.ndarray) -> np.ndarray:
    """Of the means of placements [M, n]; NaN for a single case."""
    if placements.shape[1] < 2:
        return np.full(2 * placements.shape[:1], np.nan)
    return np.atleast_2d(np.cov(placements)) / placements.shape[1]


def compare(label: np.ndarray, one: np.ndarray, other: np.ndarray) -> Comparison:
    """Returns the comparison of two scores [N] of cases with labels [N]; raises as `aucs`."""
    auc, covariance = aucs(label, np.stack([one, other]))
    auc = tuple(auc.tolist())
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if np.isnan(variance):
        return Comparison(auc, None, None)
    error, difference = float(np.sqrt(max(variance, 0))), abs(auc[0] - auc[1])
    if error > 0:
        return Comparison(auc, error, float(2 * special.ndtr(-difference / error)))
    return Comparison(auc, error, None if difference else 1.0)
