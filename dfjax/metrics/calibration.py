"""Whether scores are probabilities, and the temperature that makes them such."""

import numpy as np
from scipy import optimize

from dfjax.metrics import inputs

NAMES = ("log_loss", "brier", "ece")
BINS = 15  # of equal width

_CLIPPED = 1e-7  # scores count as that far from 0 and 1 in the log loss


def log_losses(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Negative log-likelihoods [N] in nats; scores are clipped to 1e-7 from 0 and 1."""
    score = np.clip(score, _CLIPPED, 1 - _CLIPPED)
    return -np.log(np.where(label == 1, score, 1 - score))


def log_loss(label: np.ndarray, score: np.ndarray) -> float:
    """The mean of `log_losses`; raises as `inputs.checked`."""
    return float(log_losses(*inputs.checked(label, score)).mean())


def brier(label: np.ndarray, score: np.ndarray) -> float:
    """The mean squared difference of score and label (Brier, 1950)."""
    label, score = inputs.checked(label, score)
    return float(np.square(score - label).mean())


def bin_of(score: np.ndarray) -> np.ndarray:
    """In which of `BINS` bins of equal width a score lies, int [N]; the last bin holds 1."""
    return np.minimum((score * BINS).astype(int), BINS - 1)


def ece(label: np.ndarray, score: np.ndarray) -> float:
    """Expected calibration error: abs(mean score - share of fakes) in `BINS` equally wide bins.

    Bins count by their scores (Naeini et al., AAAI 2015, for P(fake) as Guo et al.,
    arXiv:1706.04599, do for the confidence).
    """
    label, score = inputs.checked(label, score)
    return float(np.abs(np.bincount(bin_of(score), score - label)).sum() / len(score))


def reliability(label: np.ndarray, score: np.ndarray) -> list[dict[str, float | None]]:
    """Returns for each bin `n`, its mean `score` and the `share` of fakes; None in an empty one."""
    label, score = inputs.checked(label, score)
    bins = bin_of(score)
    count, total, fakes = (
        np.bincount(bins, weights, BINS) for weights in (np.ones_like(score), score, label)
    )
    return [
        {"n": int(n), "score": s / n if n else None, "share": f / n if n else None}
        for n, s, f in zip(count.tolist(), total.tolist(), fakes.tolist(), strict=True)
    ]


def platt_targets(label: np.ndarray) -> np.ndarray:
    """What a fitted probability is to be of each label [N], float64 [N]: never 0 or 1.

    (n + 1) / (n + 2) for n fakes and 1 / (n + 2) for n reals (Platt, 1999).
    """
    num_fake, num_real = (label == 1).sum(), (label == 0).sum()
    return np.where(label == 1, (num_fake + 1) / (num_fake + 2), 1 / (num_real + 2))


def fit_temperature(label: np.ndarray, logit: np.ndarray) -> float:
    """The temperature of the lowest log loss, 0.05 to 20 (Guo et al., arXiv:1706.04599).

    Of `platt_targets`: classes that lie apart would otherwise ask for a temperature of 0.
    """
    label, logit = inputs.checked(label, logit)
    target = platt_targets(label)

    def loss(log_temperature: float) -> float:
        scaled = logit / np.exp(log_temperature)
        return float((np.logaddexp(0.0, scaled) - target * scaled).mean())

    found = optimize.minimize_scalar(loss, bounds=np.log([0.05, 20.0]), method="bounded")
    return float(np.exp(found.x))
