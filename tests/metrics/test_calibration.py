"""Measures of probabilities against scikit-learn and second implementations."""

import numpy as np
import pytest
import sklearn.metrics

from dfjax import logistic
from dfjax.metrics import calibration
from tests.metrics import samples


@pytest.mark.parametrize("kind", samples.KINDS)
def test_losses_agree_with_scikit_learn(kind):
    label, score = samples.KINDS[kind]
    expected = sklearn.metrics.log_loss(label, score.clip(1e-7, 1 - 1e-7))
    assert calibration.log_loss(label, score) == pytest.approx(expected, abs=1e-12)
    expected = sklearn.metrics.brier_score_loss(label, score)
    assert calibration.brier(label, score) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_calibration_error_is_that_of_a_loop_over_bins(kind):
    label, score = samples.KINDS[kind]
    error, rows = 0.0, calibration.reliability(label, score)
    for number in range(15):
        last = number == 14
        inside = (score * 15 >= number) & ((score * 15 < number + 1) | last)
        assert rows[number]["n"] == inside.sum()
        if inside.any():
            mean, share = score[inside].mean(), label[inside].mean()
            assert rows[number] == pytest.approx({"n": inside.sum(), "score": mean, "share": share})
            error += inside.mean() * abs(mean - share)
        else:
            assert rows[number] == {"n": 0, "score": None, "share": None}
    assert calibration.ece(label, score) == pytest.approx(error, abs=1e-12)


def test_calibration_error_by_hand():
    # 0.1 and 0.12 are in one bin, of mean 0.11 and share 1/2; 1 is in the last bin, and right.
    label, score = np.array([0, 1, 1]), np.array([0.1, 0.12, 1.0])
    assert calibration.ece(label, score) == pytest.approx((2 / 3) * (0.5 - 0.11))


def test_fitted_temperature_is_that_which_made_the_logits():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, 40_000)
    label = rng.random(len(logit)) < logistic.to_score(logit)
    assert calibration.fit_temperature(label, 3 * logit) == pytest.approx(3, rel=0.03)


def test_scores_keep_distinct_logits_apart():
    logit = np.array([-800.0, -1.0, 0.0, 30.0, 31.0, 800.0])
    score = logistic.to_score(logit)
    assert score[2] == 0.5
    assert np.isfinite(score).all()
    assert score[1] == pytest.approx(1 / (1 + np.e), abs=1e-15)
    assert score[3] < score[4] <= 1.0
