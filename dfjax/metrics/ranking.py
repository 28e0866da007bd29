"""How well scores rank fakes above reals: the metrics that need no threshold."""

import dataclasses
import functools

import numpy as np

from dfjax.metrics import inputs

FALSE_POSITIVE_RATES = (0.001, 0.01, 0.05)
NAMES = ("auc", "ap", "eer", *(f"tpr_at_fpr_{rate:g}" for rate in FALSE_POSITIVE_RATES))

_ROUNDING = 1e-12  # a rate of exactly 1 % is not above 1 %


@dataclasses.dataclass(frozen=True)
class Ranked:
    """The numbers of reals and fakes at each different score, the highest score first.

    All metrics follow from these. Both arrays may have a second axis, of B resamples: then every
    metric is an array [B], NaN where a resample lacks a class.

    Attributes:
      real, fake: float64 [K] or [K, B], how many there are at each of K scores.
    """

    real: np.ndarray
    fake: np.ndarray

    @classmethod
    def of(cls, label: np.ndarray, score: np.ndarray) -> "Ranked":
        """Returns the counts of labels [N] and scores [N]; raises as `inputs.checked`."""
        label, score = inputs.checked(label, score)
        _, rank = np.unique(-score, return_inverse=True)
        fake = np.bincount(rank, label)
        return cls(np.bincount(rank) - fake, fake)

    @functools.cached_property
    def fpr(self) -> np.ndarray:
        """Shares of the reals that are called fake, [K + 1, ...]: from no score on to all."""
        return _rising_share(self.real)

    @functools.cached_property
    def tpr(self) -> np.ndarray:
        """Shares of the fakes that are called fake, as `fpr`."""
        return _rising_share(self.fake)

    @functools.cached_property
    def precision(self) -> np.ndarray:
        """Shares of fakes among what is called fake, [K, ...]; NaN where nothing is."""
        fake = self.fake.cumsum(axis=0)
        with np.errstate(invalid="ignore"):
            return fake / (fake + self.real.cumsum(axis=0))

    def auc(self) -> np.ndarray:
        """P(score of a fake > score of a real), ties counted half: the area under the ROC curve."""
        height = self.tpr[1:] + self.tpr[:-1]
        return (np.diff(self.fpr, axis=0) * height).sum(axis=0) / 2

    def average_precision(self) -> np.ndarray:
        """The area under the precision-recall curve in steps; depends on the share of fakes."""
        steps = np.where(self.fake > 0, self.precision, 0) * np.diff(self.tpr, axis=0)
        return np.where(np.isnan(self.fpr[-1]), np.nan, steps.sum(axis=0))

    def eer(self) -> np.ndarray:
        """Equal error rate: where the ROC curve, joined by straight lines, has FPR = 1 - TPR."""
        gap = self.fpr + self.tpr - 1.0  # rises from -1 to 1 along the curve
        after = np.maximum(np.argmax(gap >= 0, axis=0), 1)[None]
        high, low = (np.take_along_axis(gap, at, 0)[0] for at in (after, after - 1))
        right, left = (np.take_along_axis(self.fpr, at, 0)[0] for at in (after, after - 1))
        return right - high / (high - low) * (right - left)

    def tpr_at_fpr(self, rate: float) -> np.ndarray:
        """The highest TPR of a threshold whose FPR is `rate` at most.

        Where there are fewer than 1 / `rate` reals, that is a threshold which calls none fake.
        """
        last = np.maximum((self.fpr <= rate + _ROUNDING).sum(axis=0), 1)[None] - 1
        return np.take_along_axis(self.tpr, last, 0)[0]

    def metrics(self) -> dict[str, np.ndarray]:
        """Returns all of `NAMES`."""
        at_rates = (self.tpr_at_fpr(rate) for rate in FALSE_POSITIVE_RATES)
        values = self.auc(), self.average_precision(), self.eer(), *at_rates
        return dict(zip(NAMES, values, strict=True))


def _rising_share(count: np.ndarray) -> np.ndarray:
    cumulated = np.concatenate([np.zeros_like(count[:1]), count.cumsum(axis=0)])
    with np.errstate(invalid="ignore"):
        return cumulated / cumulated[-1]


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Returns `Ranked.auc` of labels [N] and scores [N]; raises as `inputs.checked`."""
    return float(Ranked.of(label, score).auc())


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Returns `Ranked.average_precision` of labels [N] and scores [N]; raises likewise."""
    return float(Ranked.of(label, score).average_precision())


def eer(label: np.ndarray, score: np.ndarray) -> float:
    """Returns `Ranked.eer` of labels [N] and scores [N]; raises likewise."""
    return float(Ranked.of(label, score).eer())


def tpr_at_fpr(label: np.ndarray, score: np.ndarray, rate: float) -> float:
    """Returns `Ranked.tpr_at_fpr` of labels [N] and scores [N]; raises likewise."""
    return float(Ranked.of(label, score).tpr_at_fpr(rate))
