"""Every ranking metric against a hand-computed value and another implementation."""

import numpy as np
import pytest
import sklearn.metrics
from scipy import optimize

from dfjax.metrics import curves, ranking
from tests.metrics import samples

# Three reals and three fakes with one tie across the classes.
LABEL = np.array([0, 0, 0, 1, 1, 1])
SCORE = np.array([0.1, 0.4, 0.6, 0.4, 0.7, 0.9])


def test_hand_computed_values():
    # Of nine (real, fake) pairs the fake is higher in seven and equal in one.
    assert ranking.auc(LABEL, SCORE) == pytest.approx(7.5 / 9, abs=1e-15)
    assert ranking.eer(LABEL, SCORE) == pytest.approx(1 / 3)
    # Precision 1, 1, 3/4 and 3/5 where the first, second and third fake are found.
    assert ranking.average_precision(LABEL, SCORE) == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert ranking.tpr_at_fpr(LABEL, SCORE, 0.05) == pytest.approx(2 / 3)
    assert ranking.tpr_at_fpr(LABEL, SCORE, 1 / 3) == pytest.approx(2 / 3)
    assert ranking.tpr_at_fpr(LABEL, SCORE, 2 / 3) == 1


@pytest.mark.parametrize("kind", samples.KINDS)
def test_metrics_agree_with_other_implementations(kind):
    label, score = samples.KINDS[kind]
    auc, ap = sklearn.metrics.roc_auc_score, sklearn.metrics.average_precision_score
    assert ranking.auc(label, score) == pytest.approx(auc(label, score), abs=1e-12)
    assert ranking.average_precision(label, score) == pytest.approx(ap(label, score), abs=1e-12)

    fpr, tpr, _ = sklearn.metrics.roc_curve(label, score, drop_intermediate=False)
    crossing = optimize.brentq(lambda x: 1 - x - np.interp(x, fpr, tpr), 0, 1, xtol=1e-15)
    if kind not in ("tiny", "apart"):  # where the ROC curve is vertical, so is that function
        assert ranking.eer(label, score) == pytest.approx(crossing, abs=1e-12)

    real, fake = score[label == 0], score[label == 1]
    for rate in (0.0, 0.001, 0.01, 0.05, 0.5, 1.0):
        allowed = [t for t in np.append(score, 2) if (real >= t).mean() <= rate + 1e-12]
        expected = max((fake >= threshold).mean() for threshold in allowed)
        assert ranking.tpr_at_fpr(label, score, rate) == pytest.approx(expected, abs=1e-12)


def test_equal_error_rates_of_classes_that_lie_apart():
    assert ranking.eer(*samples.KINDS["apart"]) == 0
    assert ranking.eer(*samples.KINDS["tiny"]) == 1


@pytest.mark.parametrize("kind", samples.KINDS)
def test_curves_pass_the_points_of_scikit_learn(kind):
    label, score = samples.KINDS[kind]
    ranked = ranking.Ranked.of(label, score)
    fpr, tpr, _ = sklearn.metrics.roc_curve(label, score, drop_intermediate=False)
    expected = [tpr[fpr <= x + 1e-12].max() for x in curves.FALSE_POSITIVE_RATES]
    np.testing.assert_allclose(curves.roc(ranked), expected, atol=1e-12)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(label, score)
    # From the highest threshold down; scikit-learn adds the point of recall 0.
    precision, recall = precision[-2::-1], recall[-2::-1]
    expected = [precision[recall >= x - 1e-12][0] for x in curves.RECALLS]
    np.testing.assert_allclose(curves.precision_recall(ranked), expected, atol=1e-12)


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
        ranking.auc(np.array(label), np.array(score))
