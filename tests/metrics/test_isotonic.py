"""The isotonic table: a case by hand, scikit-learn's predictions, and what it does to scores."""

import json

import numpy as np
import pytest
import sklearn.isotonic

from dfjax import model_card
from dfjax.metrics import calibration, isotonic
from dfjax.model_card import Isotonic
from tests import cards


def draw(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of a detector that is far too sure of itself."""
    rng = np.random.default_rng(seed)
    score = rng.random(count)
    label = (rng.random(count) < 0.3 + 0.4 * score**3).astype(int)
    return label, score


def fit(label, score) -> Isotonic:
    return Isotonic(*(tuple(each.tolist()) for each in isotonic.fit(label, score)))


def test_violators_are_pooled_by_hand():
    # Of targets 1/5 (real) and 4/5 (fake), the middle two are in the wrong order.
    table = fit(np.array([0, 1, 0, 1, 0, 1]), np.array([0.1, 0.3, 0.4, 0.6, 0.6, 0.9]))
    assert table.score == (0.1, 0.3, 0.6, 0.9)
    assert table.probability == pytest.approx((0.2, 0.5, 0.5, 0.8))
    np.testing.assert_allclose(
        table(np.array([0.0, 0.2, 0.5, 0.75, 1.0])), [0.2, 0.35, 0.5, 0.65, 0.8]
    )


def test_the_table_predicts_as_scikit_learn_s_regression_in_few_points():
    label, score = draw(0, 20_000)
    table = fit(label, score)
    assert 30 < len(table.score) <= 2 * isotonic.LEVELS
    whole = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(
        score, calibration.platt_targets(label)
    )
    places = np.linspace(0, 1, 1001)
    assert np.abs(table(places) - whole.predict(places)).max() < 1 / isotonic.LEVELS
    # Few points are all there.
    few, targets = fit(label[:30], score[:30]), calibration.platt_targets(label[:30])
    np.testing.assert_allclose(few(places), whole.fit(score[:30], targets).predict(places))


def test_other_scores_of_the_same_detector_become_calibrated():
    table, (label, score) = fit(*draw(1, 5_000)), draw(2, 5_000)
    before, after = calibration.ece(label, score), calibration.ece(label, table(score))
    assert before > 0.15
    assert after < 0.03
    rows = calibration.reliability(label, table(score))
    assert all(abs(row["score"] - row["share"]) < 0.08 for row in rows if row["n"] > 200)


def test_classes_that_lie_apart_ask_for_no_certainty():
    table = fit(np.array([0] * 8 + [1] * 8), np.arange(16) / 16)
    assert (table.probability[0], table.probability[-1]) == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize(
    ("score", "probability"),
    [
        ([], []),
        ([0.1, 0.2], [0.5]),
        ([0.2, 0.1], [0.1, 0.5]),
        ([0.1, 0.2], [0.6, 0.5]),
        ([0.1, 0.2], [0.5, 1.5]),
        ([float("nan")], [0.5]),
        (["a"], ["b"]),
        (0.1, 0.2),
    ],
)
def test_what_is_no_rising_table_is_refused_in_a_card(score, probability):
    card = cards.make_card().to_json()
    card["isotonic"] = {"score": score, "probability": probability}
    with pytest.raises(ValueError, match=r"it is a model card .* cannot read"):
        model_card.ModelCard.from_json(json.loads(json.dumps(card)))


def test_a_card_keeps_its_table_and_earlier_cards_have_none():
    for table in (None, fit(*draw(3, 100))):
        card = cards.make_card(isotonic=table)
        assert model_card.ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card
    earlier = cards.make_card().to_json()
    del earlier["isotonic"]
    assert model_card.ModelCard.from_json(earlier) == cards.make_card()
