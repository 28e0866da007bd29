"""One score for many frames, by hand."""

import numpy as np
import pytest

from dfjax import pooling
from dfjax.errors import UserError

NAN = np.full(3, np.nan)


def test_each_rule_weighs_frames_as_it_says():
    score = np.array([0.9, 0.5, 0.2])
    assert pooling.weights("mean", score, NAN).tolist() == [1, 1, 1]
    confidence = pooling.weights("confidence", score, NAN)
    np.testing.assert_allclose(confidence, [0.8, 0, 0.6], atol=1e-8)
    assert pooling.mean(score, confidence) == pytest.approx((0.72 + 0.12) / 1.4)
    attention = pooling.weights("attention", score, np.log([3.0, 1.0, 4.0]))
    assert pooling.mean(score, attention) == pytest.approx((2.7 + 0.5 + 0.8) / 8)


def test_frames_that_say_nothing_have_the_mean_that_says_so():
    half = np.full(3, 0.5)
    assert pooling.mean(half, pooling.weights("confidence", half, NAN)) == 0.5


def test_running_means_are_those_of_each_window():
    score, weight = np.array([0.1, 0.5, 0.9, 0.3]), np.array([1.0, 2.0, 1.0, 4.0])
    expected = [(0.1 + 1.0) / 3, (1.0 + 0.9) / 3, (0.9 + 1.2) / 5]
    np.testing.assert_allclose(pooling.running_means(score, weight, 2), expected)


def test_an_unknown_rule_is_named():
    with pytest.raises(UserError, match="pooling 'max': choose one of mean, confidence, attention"):
        pooling.require_known("max")
