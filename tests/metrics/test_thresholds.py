"""What thresholds do, against scikit-learn and values computed by hand."""

import numpy as np
import pytest
import sklearn.metrics

from dfjax.metrics import thresholds
from tests.metrics import samples


def test_hand_computed_values():
    label, score = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.4, 0.6, 0.4, 0.7, 0.9])
    assert thresholds.confusion(label, score, 0.5).tolist() == [[2, 1], [1, 2]]
    # Of 10,000 with 1 % fakes, 66.7 fakes and 3,300 reals are called fake.
    expected = (100 * 2 / 3) / (100 * 2 / 3 + 9_900 / 3)
    found = thresholds.threshold_metrics(label, score, 0.5)
    assert found["precision_at_prevalence_0.01"] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.1])
def test_metrics_agree_with_scikit_learn(kind, threshold):
    label, score = samples.KINDS[kind]
    called = (score >= threshold).astype(int)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(label, called),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(label, called),
        "precision": sklearn.metrics.precision_score(label, called, zero_division=np.nan),
        "recall": sklearn.metrics.recall_score(label, called),
        "f1": sklearn.metrics.f1_score(label, called, zero_division=0),
    }
    for prevalence in (0.01, 0.1):  # as if the classes had these shares
        weight = np.where(
            label == 1, prevalence / label.sum(), (1 - prevalence) / (1 - label).sum()
        )
        expected[f"precision_at_prevalence_{prevalence:g}"] = sklearn.metrics.precision_score(
            label, called, sample_weight=weight, zero_division=np.nan
        )
    found = thresholds.threshold_metrics(label, score, threshold)
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_chosen_threshold_is_the_best_there_is(seed):
    label, score = samples.random_scores(seed, decimals=1 if seed % 2 else 16)
    chosen = thresholds.choose_threshold(label, score)
    every = [
        thresholds.threshold_metrics(label, score, t)["balanced_accuracy"]
        for t in np.append(np.unique(score), 1.1)
    ]
    found = thresholds.threshold_metrics(label, score, chosen)["balanced_accuracy"]
    assert found == max(every)


def test_chosen_threshold_lies_in_the_middle_of_its_gap():
    assert thresholds.choose_threshold(*samples.KINDS["apart"]) == pytest.approx(0.5)


def test_band_keeps_both_error_rates_on_random_and_tied_scores():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    for score in (rng.random(200) + 0.3 * label, rng.integers(0, 4, 200) / 4 + 0.1 * label):
        low, high = thresholds.choose_band(label, score, 0.1)
        assert (score[label == 1] < low).mean() <= 0.1
        assert (score[label == 0] >= high).mean() <= 0.1
        # As narrow as that allows: one more score inside would break a rate.
        assert (score[label == 1] <= low).mean() > 0.1
        assert (score[label == 0] >= np.nextafter(high, -1)).mean() > 0.1


def test_band_of_classes_that_lie_apart_is_empty():
    low, high = thresholds.choose_band(*samples.KINDS["apart"], 0.05)
    assert low == 0.8
    assert high == np.nextafter(0.2, 1)
