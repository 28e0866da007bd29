"""Every metric against a hand-computed value and against an independent formula."""

import numpy as np
import pytest
import sklearn.metrics
from scipy import optimize

from dfjax import logistic, metrics

# Three reals and three fakes with one tie across the classes.
LABEL = np.array([0, 0, 0, 1, 1, 1])
SCORE = np.array([0.1, 0.4, 0.6, 0.4, 0.7, 0.9])


def _random_scores(seed: int, *, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 400)
    score = 1 / (1 + np.exp(-rng.normal(label * 0.8, 1.0)))
    return label, np.round(score, 1) if tied else score


def test_hand_computed_values():
    # Of nine (real, fake) pairs the fake is higher in seven and equal in one.
    assert metrics.auc(LABEL, SCORE) == pytest.approx(7.5 / 9, abs=1e-15)
    found = metrics.threshold_metrics(LABEL, SCORE, 0.5)
    assert found == {
        "accuracy": 4 / 6,
        "balanced_accuracy": 4 / 6,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
    }
    assert metrics.confusion(LABEL, SCORE, 0.5).tolist() == [[2, 1], [1, 2]]
    assert metrics.eer(LABEL, SCORE) == pytest.approx(1 / 3)
    expected = -np.mean(np.log([0.9, 0.6, 0.4, 0.4, 0.7, 0.9]))
    assert metrics.log_loss(LABEL, SCORE) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("tied", [False, True])
def test_ranking_metrics_agree_with_independent_formulas(tied):
    label, score = _random_scores(0, tied=tied)
    real, fake = score[label == 0], score[label == 1]
    pairs = (fake[:, None] > real).mean() + 0.5 * (fake[:, None] == real).mean()
    assert metrics.auc(label, score) == pytest.approx(pairs, abs=1e-12)
    assert metrics.auc(label, score) == sklearn.metrics.roc_auc_score(label, score)

    levels = np.unique(score)[::-1]
    recall = np.array([(fake >= t).mean() for t in levels])
    precision = np.array([label[score >= t].mean() for t in levels])
    ap = np.sum(np.diff(recall, prepend=0) * precision)
    assert metrics.average_precision(label, score) == pytest.approx(ap, abs=1e-12)

    fpr, tpr, _ = sklearn.metrics.roc_curve(label, score)
    crossing = optimize.brentq(lambda x: 1 - x - np.interp(x, fpr, tpr), 0, 1, xtol=1e-15)
    assert metrics.eer(label, score) == pytest.approx(crossing, abs=1e-12)

    likelihood = np.where(label == 1, score, 1 - score).clip(1e-7, 1 - 1e-7)
    assert metrics.log_loss(label, score) == pytest.approx(-np.log(likelihood).mean(), abs=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_threshold_metrics_agree_with_scikit_learn(tied):
    label, score = _random_scores(1, tied=tied)
    for threshold in (0.0, 0.3, 0.5, 0.7, 1.1):
        called = score >= threshold
        found = metrics.threshold_metrics(label, score, threshold)
        expected = {
            "accuracy": sklearn.metrics.accuracy_score(label, called),
            "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(label, called),
            "precision": sklearn.metrics.precision_score(label, called, zero_division=0),
            "recall": sklearn.metrics.recall_score(label, called),
            "f1": sklearn.metrics.f1_score(label, called, zero_division=0),
        }
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_chosen_threshold_is_the_best_there_is(seed):
    label, score = _random_scores(seed, tied=seed % 2 == 1)
    chosen = metrics.choose_threshold(label, score)
    every = [
        metrics.threshold_metrics(label, score, t)["balanced_accuracy"]
        for t in np.append(np.unique(score), 1.1)
    ]
    found = metrics.threshold_metrics(label, score, chosen)["balanced_accuracy"]
    assert found == max(every)


def test_chosen_threshold_lies_in_the_middle_of_its_gap():
    assert metrics.choose_threshold([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == pytest.approx(0.5)


def test_scores_keep_distinct_logits_apart():
    logit = np.array([-800.0, -1.0, 0.0, 30.0, 31.0, 800.0])
    score = logistic.to_score(logit)
    assert score[2] == 0.5
    assert np.isfinite(score).all()
    assert score[1] == pytest.approx(1 / (1 + np.e), abs=1e-15)
    assert score[3] < score[4] <= 1.0


@pytest.mark.parametrize(
    ("label", "score", "message"),
    [
        ([0, 0], [0.1, 0.2], "both classes, got 2 real and 0 fake"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are not finite"),
        ([0, 2], [0.1, 0.2], "labels must be 0"),
        ([0, 1], [0.1], "equal vectors"),
    ],
)
def test_input_that_cannot_be_measured_is_named(label, score, message):
    with pytest.raises(ValueError, match=message):
        metrics.ranking_metrics(np.array(label), np.array(score))


def test_band_keeps_both_error_rates_on_random_and_tied_scores():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    for score in (rng.random(200) + 0.3 * label, rng.integers(0, 4, 200) / 4 + 0.1 * label):
        low, high = metrics.choose_band(label, score, 0.1)
        assert (score[label == 1] < low).mean() <= 0.1
        assert (score[label == 0] >= high).mean() <= 0.1
        # As narrow as that allows: one more score inside would break a rate.
        assert (score[label == 1] <= low).mean() > 0.1
        assert (score[label == 0] >= np.nextafter(high, -1)).mean() > 0.1


def test_band_of_classes_that_lie_apart_is_empty():
    low, high = metrics.choose_band(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), 0.05)
    assert low == 0.8
    assert high == np.nextafter(0.2, 1)
