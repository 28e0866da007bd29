"""Isotonic regression: the rising table from scores to probabilities that fits validation best.

Zadrozny and Elkan (2002). Unlike a temperature it is not bound to one form, and so takes more
examples to be better; its probabilities hold for the share of fakes that it was fitted to.
"""

import numpy as np
from sklearn import isotonic

from dfjax.metrics import calibration, inputs

LEVELS = 50


def fit(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (scores, probabilities) of the points of the table, both rising.

    Between points probabilities lie on straight lines, outside them they are those of the ends.
    There are at most two points in each of `LEVELS` equal levels of probability, so that none is
    off by more than a level. Targets are Platt's, as for the temperature: no probability is 0 or 1.

    Raises:
      UserError: a class is missing, or a score is not finite.
    """
    label, score = inputs.checked(label, score)
    fitted = isotonic.IsotonicRegression().fit(score, calibration.platt_targets(label))
    score, probability = fitted.X_thresholds_, fitted.y_thresholds_
    changes = np.diff((probability * LEVELS).astype(int)) > 0
    ends = np.append(True, changes) | np.append(changes, True)
    return score[ends], probability[ends]
