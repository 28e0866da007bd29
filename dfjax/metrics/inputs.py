"""What can be measured: labels and scores of both classes."""

import numpy as np

from dfjax.errors import UserError


def checked(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels as int64 [N] and the scores as float64 [N].

    Raises:
      UserError: a class is missing, a score is not finite, or a label is neither 0 nor 1.
      ValueError: they are not vectors of one length.
    """
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
