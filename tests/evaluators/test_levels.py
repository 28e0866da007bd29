"""What is measured of a score table: levels, clusters, missing faces."""

import json

import numpy as np
import pytest
import sklearn.metrics

from dfjax import logistic
from dfjax.evaluators import levels, protocol, score_table
from dfjax.evaluators.levels import Thresholds
from dfjax.evaluators.score_table import ScoreTable
from dfjax.metrics import bootstrap, measures
from tests.evaluators.test_video import make_table


def random_table(seed: int = 0, clips: int = 40, frames: int = 4) -> ScoreTable:
    """Clips of two methods and reals in turn, of four people each; the last two have no face."""
    rng = np.random.default_rng(seed)
    rows = []
    for clip in range(clips):
        method = ("real", "swap", "real", "splice")[clip % 4]
        name = f"c/{method}/{clip}"
        if clip >= clips - 2:
            rows.append((name, score_table.NO_FACE, score_table.NO_FACE, clip % 2, np.nan))
            continue
        effect = rng.normal(clip % 2)
        score = logistic.to_score(effect + rng.normal(size=frames))
        rows += [(name, 5 * i, 0, clip % 2, each) for i, each in enumerate(score)]
    return make_table(rows, temperature=1.5)


def test_levels_agree_with_scikit_learn():
    table = random_table()
    found = levels.measure(table, Thresholds(0.4, 0.6, "a test"), draws=50)
    faces = table.faces
    frame, video = found["frame"], found["video"]
    auc = sklearn.metrics.roc_auc_score
    assert frame["metrics"]["auc"]["value"] == pytest.approx(auc(faces.label, faces.score))
    raw = sklearn.metrics.log_loss(faces.label, logistic.to_score(faces.logit))
    assert frame["metrics"]["log_loss"]["value"] == pytest.approx(raw)
    calibrated = sklearn.metrics.log_loss(faces.label, faces.score)
    assert frame["metrics"]["log_loss_calibrated"]["value"] == pytest.approx(calibrated)
    called = faces.score >= 0.4
    expected = sklearn.metrics.confusion_matrix(faces.label, called)
    assert frame["confusion"] == expected.tolist()
    assert (frame["threshold"], frame["threshold_from"]) == (0.4, "a test")
    half = sklearn.metrics.accuracy_score(faces.label, faces.score >= 0.5)
    assert frame["at_half"]["accuracy"]["value"] == pytest.approx(half)

    names = sorted(set(faces.clip.tolist()))
    score = np.array([faces.score[faces.clip == name].mean() for name in names])
    label = np.array([faces.label[faces.clip == name][0] for name in names])
    assert (video["real"], video["fake"], video["rule"]) == (19, 19, "mean probability")
    assert video["metrics"]["auc"]["value"] == pytest.approx(auc(label, score))
    accuracy = sklearn.metrics.accuracy_score(label, score >= 0.6)
    assert video["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
    of_swap = (label == 0) | np.array([name.startswith("c/swap") for name in names])
    swap = video["methods"]["swap"]
    assert swap["metrics"]["auc"]["value"] == pytest.approx(auc(label[of_swap], score[of_swap]))
    assert video["rules"]["mean probability"]["auc"] == video["metrics"]["auc"]
    # A real and a fake without a face, with 0.5 each.
    missing = video["missing_faces"]
    expected = auc(np.r_[label, 0, 1], np.r_[score, 0.5, 0.5])
    assert missing["half"]["auc"]["value"] == pytest.approx(expected)
    assert missing["dropped"] == video["metrics"]


def test_intervals_hold_their_values_and_json_holds_no_nan():
    report = protocol.make([protocol.dataset("d", random_table(), Thresholds(), draws=200)])
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text) == report
    (dataset,) = report["datasets"]
    for level in dataset["levels"].values():
        for name in ("auc", "ap", "accuracy", "brier", "recall"):
            numbers = level["metrics"][name]
            assert numbers["low"] <= numbers["value"] <= numbers["high"]
        assert sum(level["histogram"]["real"]) == level["real"]
        assert sum(row["n"] for row in level["reliability"]["raw"]) == level["real"] + level["fake"]
        assert {len(each) for each in level["curves"]["roc"].values()} == {200}
    assert dataset["coverage"] == {
        "clips": 40,
        "without_face": 2,
        "methods": {
            "real": {"clips": 20, "without_face": 1},
            "splice": {"clips": 10, "without_face": 1},
            "swap": {"clips": 10, "without_face": 0},
        },
    }


def test_worst_faces_are_of_different_clips_and_the_most_wrong():
    table = random_table()
    worst = protocol.dataset("d", table, Thresholds(), draws=2)["worst"]
    faces = table.faces
    for label in (0, 1):
        errors = {name: 0.0 for name in faces.clip[faces.label == label]}
        for name, score in zip(faces.clip, faces.score, strict=True):
            if name in errors:
                errors[name] = max(errors[name], abs(score - label))
        expected = sorted(errors, key=lambda name: -errors[name])[:6]
        rows = [row for row in worst if row["label"] == label]
        assert [row["clip"] for row in rows] == expected
        assert [abs(row["score"] - label) for row in rows] == sorted(errors.values())[:-7:-1]


def test_identities_are_resampled_where_they_are_known():
    table = random_table()
    assert levels.clusters(table)[0] == "clips"
    person = np.array([name.rpartition("/")[2] for name in table.clip], object)
    table.extra["identity"] = person
    assert levels.clusters(table)[0] == "clips"  # one clip each
    table.extra["identity"] = np.array([str(int(each) // 2) for each in person], object)
    resampled, cluster = levels.clusters(table)
    assert resampled == "identities"
    assert len(np.unique(cluster)) == 20
    found = levels.measure(table, Thresholds(), draws=10)
    assert found["video"]["interval"] == {"level": 0.95, "resampled": "identities", "draws": 10}
    # The intervals over clips are those that there are without the identities.
    over_clips = {name: level["over_clips"] for name, level in found.items()}
    del table.extra["identity"]
    without = levels.measure(table, Thresholds(), draws=10)
    assert over_clips == {name: level["metrics"] for name, level in without.items()}
    assert "over_clips" not in without["video"]
    assert over_clips["frame"] != found["frame"]["metrics"]
    # A clip that nothing is known of is its own.
    table.extra["identity"] = np.array([str(int(each) // 2) for each in person], object)
    table.extra["identity"][person == "0"] = ""
    assert len(np.unique(levels.clusters(table)[1])) == 21


@pytest.mark.parametrize("label", [0, 1])
def test_a_level_without_a_class_has_counts_and_a_note(label):
    table = random_table()
    table = table.rows(table.label == label)
    found = protocol.dataset("d", table, Thresholds())["levels"]
    counts = {"real": 19 * 4 * (1 - label), "fake": 19 * 4 * label}
    note = f"{counts['real']} real and {counts['fake']} fake: no metrics"
    assert found["frame"] == {**counts, "note": note}
    assert found["video"].keys() == {"real", "fake", "note"}


def test_pictures_have_no_videos_and_no_faces_at_all_are_no_error():
    table = random_table(frames=1)
    assert (
        levels.measure(table, Thresholds(), 5)["video"]["note"] == "0 real and 0 fake: no metrics"
    )
    found = protocol.dataset("d", table.missing, Thresholds())
    assert found["levels"]["frame"]["note"] == "0 real and 0 fake: no metrics"
    assert found["coverage"]["without_face"] == 2


def test_a_metric_of_few_clips_has_a_value_though_no_interval():
    table = make_table([("c/real/0", 0, 0, 0, 0.4), ("c/swap/1", 0, 0, 1, 0.6)])
    found = levels.measure(table, Thresholds(), draws=100)["frame"]["metrics"]
    assert found["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["precision"]["value"] == 1.0
    nothing_called_fake = levels.measure(table, Thresholds(0.9), draws=100)["frame"]["metrics"]
    assert nothing_called_fake["precision"] == {"value": None, "low": None, "high": None}


def test_draws_of_a_table_are_those_of_its_level():
    table = random_table()
    resampled = measures.resample(levels.samples(table)["video"], 0.5, 60)[measures.EVERYTHING]
    low, high = bootstrap.interval(resampled.metrics["auc"])
    found = levels.measure(table, Thresholds(), 60)["video"]["metrics"]["auc"]
    assert (found["low"], found["high"]) == (low, high)
