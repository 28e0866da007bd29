"""Figures of groups: a case computed by hand, fairlearn, scikit-learn, and what chance does."""

import numpy as np
import pytest
import sklearn.metrics

from dfjax.metrics import groups


def make_case(cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, scores, groups) with counts by (group, label, whether it is called fake)."""
    rows = [cell for cell, count in cells.items() for _ in range(count)]
    group, label, called = np.array(rows).T
    return label, np.where(called == 1, 0.9, 0.1), group


def measure(label, score, member):
    names = "abc"[: member.max() + 1]
    return groups.measure(label, score, member, names, 0.5, np.random.default_rng(0))


def random_case(seed: int, num_groups: int, count: int):
    rng = np.random.default_rng(seed)
    label, member = rng.integers(0, 2, count), rng.integers(0, num_groups, count)
    logit = rng.normal(2.0 * label - 1.0, 1.0 + 0.3 * member)
    return label, np.round(1 / (1 + np.exp(-logit)), 2), member


def test_figures_are_those_computed_by_hand():
    # FPR 10/40, 4/40; FNR 8/80, 20/40; accuracy 102/120, 56/80; called fake 82/120, 24/80.
    cells = {
        (0, 0, 0): 30,
        (0, 0, 1): 10,
        (0, 1, 0): 8,
        (0, 1, 1): 72,
        (1, 0, 0): 36,
        (1, 0, 1): 4,
        (1, 1, 0): 20,
        (1, 1, 1): 20,
        (-1, 1, 1): 5,
    }
    found = measure(*make_case(cells))
    rates = [
        {rate: row[rate]["value"] for rate in ("fpr", "fnr", "accuracy")} for row in found["groups"]
    ]
    assert rates == [
        pytest.approx({"fpr": 0.25, "fnr": 0.1, "accuracy": 0.85}),
        pytest.approx({"fpr": 0.1, "fnr": 0.5, "accuracy": 0.7}),
    ]
    assert [(row["group"], row["real"], row["fake"]) for row in found["groups"]] == [
        ("a", 40, 80),
        ("b", 40, 40),
    ]
    assert found["unlabelled"] == {"real": 0, "fake": 5}
    assert found["compared"] == ["a", "b"]
    # Of all, FPR is 14/80 and TPR 92/120.
    odds = abs(0.25 - 0.175) + abs(0.1 - 0.175) + abs(0.9 - 23 / 30) + abs(0.5 - 23 / 30)
    assert {name: row["value"] for name, row in found["figures"].items()} == pytest.approx(
        {"f_fpr": 0.15, "f_oae": 0.15, "f_dp": 82 / 120 - 0.3, "f_meo": 0.4, "f_eo": odds}
    )


def test_rates_agree_with_scikit_learn_in_each_group():
    label, score, member = random_case(0, 3, 900)
    for number, row in enumerate(measure(label, score, member)["groups"]):
        in_group = member == number
        tn, fp, fn, tp = sklearn.metrics.confusion_matrix(
            label[in_group], score[in_group] >= 0.5
        ).ravel()
        assert row["fpr"]["value"] == pytest.approx(fp / (fp + tn))
        assert row["fnr"]["value"] == pytest.approx(fn / (fn + tp))
        auc = sklearn.metrics.roc_auc_score(label[in_group], score[in_group])
        assert row["auc"]["value"] == pytest.approx(auc)
        for rate in groups.RATES:
            assert row[rate]["low"] < row[rate]["value"] < row[rate]["high"]


def test_figures_agree_with_fairlearn():
    fairlearn = pytest.importorskip("fairlearn.metrics")
    label, score, member = random_case(1, 3, 900)
    figures = measure(label, score, member)["figures"]
    called = (score >= 0.5).astype(int)

    def difference(function, method="between_groups"):
        frame = fairlearn.MetricFrame(
            metrics=function, y_true=label, y_pred=called, sensitive_features=member
        )
        return frame.difference(method=method)

    rates = {"y_true": label, "y_pred": called, "sensitive_features": member}
    assert {name: row["value"] for name, row in figures.items()} == pytest.approx(
        {
            "f_fpr": difference(fairlearn.false_positive_rate),
            "f_oae": difference(sklearn.metrics.accuracy_score),
            "f_dp": fairlearn.demographic_parity_difference(**rates),
            "f_meo": fairlearn.equalized_odds_difference(**rates),
            "f_eo": sum(
                np.abs(frame.by_group - frame.overall).sum()
                for frame in (
                    fairlearn.MetricFrame(
                        metrics=function,
                        y_true=label,
                        y_pred=called,
                        sensitive_features=member,
                    )
                    for function in (fairlearn.false_positive_rate, fairlearn.true_positive_rate)
                )
            ),
        }
    )


def test_intervals_are_those_of_a_bootstrap_of_clips():
    label, score, member = random_case(2, 2, 300)
    found = measure(label, score, member)
    rng, resampled = np.random.default_rng(7), []
    for _ in range(2000):
        rows = rng.integers(0, len(label), len(label))
        rates = [
            (score[rows] >= 0.5)[(member[rows] == number) & (label[rows] == 0)].mean()
            for number in (0, 1)
        ]
        resampled.append((rates[0], abs(rates[0] - rates[1])))
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    for place, interval in enumerate((found["groups"][0]["fpr"], found["figures"]["f_fpr"])):
        assert interval["low"] == pytest.approx(low[place], abs=0.015)
        assert interval["high"] == pytest.approx(high[place], abs=0.015)


def test_a_fair_detector_stays_under_what_chance_makes_of_it_in_95_percent_of_cases():
    rng, below = np.random.default_rng(3), 0
    for seed in range(40):
        label, score, _ = random_case(seed, 1, 300)
        figures = measure(label, score, rng.integers(0, 3, 300))["figures"]
        below += figures["f_eo"]["value"] <= figures["f_eo"]["chance"]
    assert 35 <= below <= 39


def test_small_groups_are_marked_and_left_out_of_the_figures():
    cells = {(group, label, label): 30 for group in (0, 1) for label in (0, 1)}
    found = measure(*make_case({**cells, (2, 0, 0): 29, (2, 1, 1): 40}))
    assert [row["small"] for row in found["groups"]] == [False, False, True]
    assert found["compared"] == ["a", "b"]
    assert found["figures"]["f_fpr"] == {"value": 0, "low": 0, "high": 0, "chance": 0}
    (alone := dict(cells)).pop((1, 0, 0))
    found = measure(*make_case(alone))
    assert found["figures"] is None
    assert (found["groups"][1]["fpr"], found["groups"][1]["auc"]) == (None, None)
    assert found["groups"][1]["fnr"]["value"] == 0
