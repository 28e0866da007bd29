"""What a threshold makes of scores, and how one is chosen."""

import numpy as np

from dfjax.metrics import inputs, ranking

PREVALENCES = (0.01, 0.1)
NAMES = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    *(f"precision_at_prevalence_{prevalence:g}" for prevalence in PREVALENCES),
)


def confusion(label: np.ndarray, score: np.ndarray, threshold: float) -> np.ndarray:
    """Counts [[real as real, real as fake], [fake as real, fake as fake]]; fake is >= threshold."""
    label, score = inputs.checked(label, score)
    return np.bincount(2 * label + (score >= threshold), minlength=4).reshape(2, 2)


def metrics_of_confusion(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Returns all of `NAMES` of what `confusion` counts: [2, 2] or, of B resamples, [2, 2, B].

    Precision is NaN where nothing is called fake.
    """
    (tn, fp), (fn, tp) = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):
        tpr, fpr = tp / (tp + fn), fp / (fp + tn)
        values = (
            (tp + tn) / (tp + tn + fp + fn),
            (tpr + 1 - fpr) / 2,
            tp / (tp + fp),
            tpr,
            2 * tp / (2 * tp + fp + fn),
            *(precision_at_prevalence(tpr, fpr, prevalence) for prevalence in PREVALENCES),
        )
    return dict(zip(NAMES, values, strict=True))


def precision_at_prevalence(tpr: np.ndarray, fpr: np.ndarray, prevalence: float) -> np.ndarray:
    """Returns the precision where a share `prevalence` of all is fake (Bayes' rule).

    NaN where both rates are 0.
    """
    with np.errstate(invalid="ignore"):
        return prevalence * tpr / (prevalence * tpr + (1 - prevalence) * fpr)


def threshold_metrics(label: np.ndarray, score: np.ndarray, threshold: float) -> dict[str, float]:
    """Returns all of `NAMES` of labels [N] and scores [N]; raises as `inputs.checked`."""
    found = metrics_of_confusion(confusion(label, score, threshold))
    return {name: float(value) for name, value in found.items()}


def choose_band(label: np.ndarray, score: np.ndarray, error_rate: float) -> tuple[float, float]:
    """The scores (low, high) between which a detector should not decide.

    At most `error_rate` of the fakes score below `low`, and at most `error_rate` of the reals
    reach `high`. low >= high says that the classes lie apart: there is nothing to abstain from.
    """
    label, score = inputs.checked(label, score)
    fake, real = np.sort(score[label == 1]), np.sort(score[label == 0])[::-1]
    low = fake[int(error_rate * len(fake))]
    high = np.nextafter(real[int(error_rate * len(real))], np.inf)
    return float(low), float(high)


def choose_threshold(label: np.ndarray, score: np.ndarray) -> float:
    """The threshold of the highest balanced accuracy (Youden's J), the middle of its score gap.

    Balanced accuracy rather than F1: with a weak detector the best F1 calls everything fake.
    """
    ranked = ranking.Ranked.of(label, score)
    best = int(np.argmax(ranked.tpr - ranked.fpr))
    if best == 0:  # calling nothing fake is as good
        return 0.5
    falling = np.unique(score)[::-1]
    return float(falling[best - 1 : best + 1].mean())
