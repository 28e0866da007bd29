"""What is measured of a finished list of scores, in plain numpy with scikit-learn underneath.

The label is 0 real, 1 fake; a score is P(fake).
"""

import numpy as np
import sklearn.metrics
from scipy import optimize

from dfjax.errors import UserError


def _checked(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    label, score = np.asarray(label), np.asarray(score, np.float64)
    if label.shape != score.shape or label.ndim != 1:
        raise ValueError(f"labels {label.shape} and scores {score.shape} must be equal vectors")
    if not np.isin(label, (0, 1)).all():
        raise UserError(f"labels must be 0 (real) or 1 (fake), got {np.unique(label)[:5]}")
    if not np.isfinite(score).all():
        raise UserError(f"{(~np.isfinite(score)).sum()} of {len(score)} scores are not finite")
    num_fake = int(label.sum())
    if num_fake in (0, len(label)):
        raise UserError(
            f"metrics need both classes, got {len(label) - num_fake} real and {num_fake} fake"
        )
    return label.astype(np.int64), score


def fit_temperature(label: np.ndarray, logit: np.ndarray) -> float:
    """The temperature of the lowest log loss, 0.05 to 20 (Guo et al., arXiv:1706.04599).

    Targets are those of Platt (1999), (n + 1) / (n + 2) for a class of n examples: classes that lie
    apart would otherwise ask for a temperature of 0.
    """
    label, logit = _checked(label, logit)
    num_fake, num_real = (label == 1).sum(), (label == 0).sum()
    target = np.where(label == 1, (num_fake + 1) / (num_fake + 2), 1 / (num_real + 2))

    def loss(log_temperature: float) -> float:
        scaled = logit / np.exp(log_temperature)
        return float((np.logaddexp(0.0, scaled) - target * scaled).mean())

    found = optimize.minimize_scalar(loss, bounds=np.log([0.05, 20.0]), method="bounded")
    return float(np.exp(found.x))


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve: P(score of a fake > score of a real), ties counted half."""
    return float(sklearn.metrics.roc_auc_score(*_checked(label, score)))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """AP: the step-wise area under the precision-recall curve; depends on the share of fakes."""
    return float(sklearn.metrics.average_precision_score(*_checked(label, score)))


def eer(label: np.ndarray, score: np.ndarray) -> float:
    """Equal error rate: where the ROC curve, joined by straight lines, has FPR = 1 - TPR."""
    fpr, tpr, _ = sklearn.metrics.roc_curve(*_checked(label, score), drop_intermediate=False)
    gap = fpr + tpr - 1.0  # rises from -1 to 1 along the curve
    after = int(np.argmax(gap >= 0))
    share = gap[after] / (gap[after] - gap[after - 1])
    return float(fpr[after] - share * (fpr[after] - fpr[after - 1]))


def log_loss(label: np.ndarray, score: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; scores are clipped to 1e-7 from 0 and 1."""
    label, score = _checked(label, score)
    return float(sklearn.metrics.log_loss(label, np.clip(score, 1e-7, 1 - 1e-7)))


RANKING = ("auc", "ap", "eer", "log_loss")


def ranking_metrics(label: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """The metrics of RANKING, which need no threshold.

    Raises:
      UserError: a class is missing, a score is not finite, or a label is neither 0 nor 1.
    """
    return {
        "auc": auc(label, score),
        "ap": average_precision(label, score),
        "eer": eer(label, score),
        "log_loss": log_loss(label, score),
    }


def confusion(label: np.ndarray, score: np.ndarray, threshold: float) -> np.ndarray:
    """Counts [[real as real, real as fake], [fake as real, fake as fake]]; fake is >= threshold."""
    label, score = _checked(label, score)
    return sklearn.metrics.confusion_matrix(label, score >= threshold, labels=[0, 1])


def threshold_metrics(label: np.ndarray, score: np.ndarray, threshold: float) -> dict[str, float]:
    """accuracy, balanced_accuracy, and precision, recall, f1 of the class fake.

    Precision and F1 are 0 where nothing is called fake.
    """
    (tn, fp), (fn, tp) = confusion(label, score, threshold)
    return {
        "accuracy": float((tp + tn) / (tp + tn + fp + fn)),
        "balanced_accuracy": float((tp / (tp + fn) + tn / (tn + fp)) / 2),
        "precision": float(tp / (tp + fp)) if tp + fp else 0.0,
        "recall": float(tp / (tp + fn)),
        "f1": float(2 * tp / (2 * tp + fp + fn)),
    }


def choose_band(label: np.ndarray, score: np.ndarray, error_rate: float) -> tuple[float, float]:
    """The scores (low, high) between which a detector should not decide.

    At most `error_rate` of the fakes score below `low`, and at most `error_rate` of the reals
    reach `high`. low >= high says that the classes lie apart: there is nothing to abstain from.
    """
    label, score = _checked(label, score)
    fake, real = np.sort(score[label == 1]), np.sort(score[label == 0])[::-1]
    low = fake[int(error_rate * len(fake))]
    high = np.nextafter(real[int(error_rate * len(real))], np.inf)
    return float(low), float(high)


def choose_threshold(label: np.ndarray, score: np.ndarray) -> float:
    """The threshold of the highest balanced accuracy (Youden's J), the middle of its score gap.

    Balanced accuracy rather than F1: with a weak detector the best F1 calls everything fake.
    """
    label, score = _checked(label, score)
    fpr, tpr, thresholds = sklearn.metrics.roc_curve(label, score, drop_intermediate=False)
    best = int(np.argmax(tpr - fpr))
    if best == 0:  # roc_curve starts above every score
        return 0.5
    below = score[score < thresholds[best]]
    return float((thresholds[best] + below.max()) / 2) if len(below) else float(thresholds[best])
