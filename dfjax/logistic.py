"""Scores and logits of one another, and the normal distribution that logits are near to.

What reads a finished model needs no more arithmetic than this: `metrics` loads scikit-learn.
"""

import statistics

import numpy as np


def to_score(logit: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Scores sigmoid(logit / temperature), in float64: distinct logits stay distinct scores."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logit, np.float64) / temperature))


def to_logit(score: np.ndarray) -> np.ndarray:
    """Logits, float64, of scores; those nearer than 1e-9 to 0 and 1 count as that near."""
    score = np.clip(np.asarray(score, np.float64), 1e-9, 1.0 - 1e-9)
    return np.log(score) - np.log1p(-score)


def normal_quantile(share: float) -> float:
    """The value that a share, between 0 and 1, of a standard normal distribution is below."""
    return statistics.NormalDist().inv_cdf(share)
