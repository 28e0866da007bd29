"""One score for many frames: the mean of their P(fake), weighted by a rule.

    mean        every frame counts alike
    confidence  by |2 score - 1|: a frame that could be either says little
    attention   by what the network has learned of frames (`models.layers.GatedAttention`)

All that joins the frames of a clip, of a person or of a moment goes through this module.
"""

from collections.abc import Callable

import numpy as np

from dfjax.errors import UserError

_LEAST = 1e-9  # so that frames which all say nothing still have a mean

_RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mean": lambda score, attention: np.ones(len(score)),
    "confidence": lambda score, attention: np.maximum(np.abs(2 * score - 1), _LEAST),
    "attention": lambda score, attention: np.exp(attention),
}
RULES = tuple(_RULES)
LEARNED = "attention"  # the rule that is trained

IN_WORDS = {
    "mean": "mean probability",
    "confidence": "mean probability, weighted by confidence",
    "attention": "mean probability, weighted by attention",
}


def require_known(rule: str) -> None:
    """Checks that `rule` is one of `RULES`.

    Raises:
      UserError: it is not.
    """
    if rule not in _RULES:
        raise UserError(f"pooling {rule!r}: choose one of {', '.join(RULES)}")


def weights(rule: str, score: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Returns how much frames count, float64 [N], above 0.

    `score` is P(fake) [N], `attention` [N] what the network says of them, NaN if it says nothing.
    """
    return _RULES[rule](np.asarray(score, np.float64), np.asarray(attention, np.float64))


def mean(score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the weighted mean of scores along the last axis, [...] of [..., N]."""
    return (np.asarray(score) * weight).sum(-1) / np.asarray(weight).sum(-1)


def running_means(score: np.ndarray, weight: np.ndarray, length: int) -> np.ndarray:
    """Returns the weighted mean of every `length` scores in a row, float64 [N - length + 1]."""
    windows = np.lib.stride_tricks.sliding_window_view
    return mean(windows(np.asarray(score), length), windows(np.asarray(weight), length))
