"""Calibration of crops and of videos, against the same computed from the scores one by one."""

import numpy as np
import pytest
import sklearn.metrics

from dfjax import logistic
from dfjax.evaluators import calibrated
from dfjax.evaluators.score_table import ScoreTable
from dfjax.model_card import Isotonic
from tests import cards

TABLE = Isotonic((0.2, 0.8), (0.3, 0.6))


def make_table(label: np.ndarray, logit: np.ndarray, temperature: float) -> ScoreTable:
    """Clips of three frames: labels [C], logits [C, 3]."""
    clip = np.repeat(np.arange(len(label)), 3)
    return ScoreTable(
        corpus=np.full(len(clip), "c", object),
        clip=np.array([f"c/m/{number:03d}" for number in clip], object),
        method=np.full(len(clip), "m", object),
        frame=np.tile([0, 1, 2], len(label)),
        time=np.full(len(clip), np.nan),
        face=np.zeros(len(clip), int),
        track=np.zeros(len(clip), int),
        label=label[clip],
        logit=logit.ravel(),
        score=logistic.to_score(logit.ravel(), temperature),
    )


def test_each_way_is_measured_on_crops_and_on_means_of_frames():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 50)
    logit = rng.normal(2.0 * label[:, None] - 1, 3.0, (50, 3))
    card = cards.make_card(temperature=3.0, isotonic=TABLE)
    found = calibrated.measure(make_table(label, logit, 3.0), card)
    assert found["temperature"] == 3.0
    assert found["isotonic"] == {"score": (0.2, 0.8), "probability": (0.3, 0.6)}
    scores = logistic.to_score(logit, 3.0)
    ways = {
        "raw": logistic.to_score(logit),
        "temperature": scores,
        "isotonic": np.clip(0.3 + (scores - 0.2) / 2, 0.3, 0.6),
    }
    for name, score in ways.items():
        for level, labels, values in (
            ("frame", np.repeat(label, 3), score.ravel()),
            ("video", label, score.mean(1)),
        ):
            row = found[level][name]
            assert row["brier"] == pytest.approx(sklearn.metrics.brier_score_loss(labels, values))
            assert row["log_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, values))
            assert sum(each["n"] for each in row["reliability"]) == len(values)
    assert found["frame"]["temperature"]["ece"] < found["frame"]["raw"]["ece"]


def test_what_is_not_there_is_null():
    label, logit = np.array([0, 0]), np.zeros((2, 3))
    found = calibrated.measure(make_table(label, logit, 1.0), None)
    assert found == {"temperature": None, "isotonic": None, "frame": None, "video": None}
