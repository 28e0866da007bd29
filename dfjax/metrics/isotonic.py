"""Isotonic regression: the rising table from scores to probabilities that fits validation best.

Zadrozny and Elkan (2002). Unlike a temperature it is not bound to one form, and so takes more
examples to be better; its probabilities hold for the share of fakes that it was fitted to.
"""

import numpy as np
from sklearn import isotonic

from dfjax.metrics import calibration, inputs

MAX_POINTS = 64


def fit(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (scores, probabilities), both rising, of at most `MAX_POINTS` points.

    Between the points probabilities lie on straight lines, outside they are those of the ends.
    Targets are those of Platt, as for the temperature: no probability is 0 or 1, whatever a finite
    set of clips shows.

    Raises:
      UserError: a class is missing, or a score is not finite.
    """
    label, score = inputs.checked(label, score)
    fitted = isotonic.IsotonicRegression().fit(score, calibration.platt_targets(label))
    # These are the ends of each step already; of too many, evenly spread ones say nearly as much.
    count = len(fitted.X_thresholds_)
    kept = np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(int))
    return fitted.X_thresholds_[kept], fitted.y_thresholds_[kept]
