"""DeLong's covariance against the definition, which compares each fake with each real."""

import numpy as np
import pytest
import sklearn.metrics
from scipy import stats

from dfjax.metrics import delong
from tests.metrics import samples


def _by_definition(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The covariance of the AUCs of scores [M, N], by all pairs of a fake and a real."""
    fake, real = scores[:, label == 1, None], scores[:, None, label == 0]
    psi = (fake > real) + 0.5 * (fake == real)
    of_fakes, of_reals = psi.mean(axis=2), psi.mean(axis=1)
    return np.cov(of_fakes) / of_fakes.shape[1] + np.cov(of_reals) / of_reals.shape[1]


@pytest.mark.parametrize("decimals", [16, 1, 0])
def test_covariance_is_that_of_all_pairs(decimals):
    label, one = samples.random_scores(0, 150, decimals)
    rng = np.random.default_rng(1)
    other = np.round(np.clip(one + 0.3 * rng.normal(size=len(one)), 0, 1), decimals)
    aucs, covariance = delong.aucs(label, np.stack([one, other]))
    expected = [sklearn.metrics.roc_auc_score(label, score) for score in (one, other)]
    np.testing.assert_allclose(aucs, expected, atol=1e-12)
    np.testing.assert_allclose(
        covariance, _by_definition(label, np.stack([one, other])), atol=1e-12
    )
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    found = delong.compare(label, one, other)
    assert found.standard_error == pytest.approx(np.sqrt(variance))
    z = (aucs[0] - aucs[1]) / np.sqrt(variance)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_p_values_of_equal_models_are_uniform():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 60)
    p_values = []
    for _ in range(400):
        shared = rng.normal(size=len(label)) + label
        one, other = (shared + rng.normal(size=len(label)) for _ in range(2))
        p_values.append(delong.compare(label, one, other).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.05


def test_what_does_not_vary_has_no_p_value_unless_it_is_equal():
    label, score = samples.KINDS["apart"]
    assert delong.compare(label, score, score).p_value == 1
    assert delong.compare(label, score, 1 - score) == delong.Comparison((1.0, 0.0), 0.0, None)
    label, score = samples.KINDS["tiny"]  # one case of a class says nothing of its spread
    assert delong.compare(label, score, score) == delong.Comparison((0.0, 0.0), None, None)
