"""Scores of every kind that a metric meets."""

import numpy as np


def random_scores(seed: int, count: int = 400, decimals: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """(labels, scores) of both classes; few decimals make ties."""
    rng = np.random.default_rng(seed)
    label = np.r_[0, 1, rng.integers(0, 2, count - 2)]
    return label, np.round(1 / (1 + np.exp(-rng.normal(label * 0.8, 1.0))), decimals)


KINDS = {
    "random": random_scores(0),
    "tied": random_scores(1, decimals=1),
    "three values": random_scores(2, decimals=0),
    "tiny": (np.array([1, 0]), np.array([0.2, 0.7])),
    "equal": (np.array([0, 1, 1]), np.array([0.5, 0.5, 0.5])),
    "apart": (np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])),
    "one fake": random_scores(3, 3),
}
