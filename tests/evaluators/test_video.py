"""Clip scores computed by hand."""

import dataclasses

import numpy as np
import pytest

from dfjax import logistic
from dfjax.evaluators import video
from dfjax.evaluators.score_table import ScoreTable


def make_table(rows, temperature: float = 1.0, **extra) -> ScoreTable:
    """Rows of (clip, frame, face, label, score); frame -1 and a score of NaN: no face."""
    clip, frames, faces, label, score = (np.array(column) for column in zip(*rows, strict=True))
    names = clip.astype(object)
    method = np.array([name.split("/")[1] for name in names], object)
    corpus = np.array([name.split("/")[0] for name in names], object)
    time, logit = frames / 25, temperature * logistic.to_logit(score)
    numbers = frames, time, faces, faces, label, logit, score
    return ScoreTable(corpus, names, method, *numbers, {k: np.array(v) for k, v in extra.items()})


TABLE = make_table(
    [
        ("c/swap/000", 4, 0, 1, 0.8),
        ("c/real/000", 0, 0, 0, 0.2),
        ("c/swap/000", 9, 0, 1, 0.1),  # two faces in frame 9
        ("c/swap/000", 9, 1, 1, 0.6),
        ("c/real/000", 5, 0, 0, 0.4),
        ("c/real/001", 5, 0, 0, 0.5),  # a picture
    ],
    temperature=2.0,
)


def test_a_clip_has_the_most_suspicious_face_of_each_frame():
    clips = video.Clips.of(TABLE)
    assert clips.clip.tolist() == ["c/real/000", "c/real/001", "c/swap/000"]
    assert clips.label.tolist() == [0, 0, 1]
    assert clips.method.tolist() == ["real", "real", "swap"]
    assert clips.frames.tolist() == [2, 1, 2]
    assert TABLE.clip[clips.row].tolist() == clips.clip.tolist()
    assert clips.videos.clip.tolist() == ["c/real/000", "c/swap/000"]
    assert clips.videos.frames.tolist() == [2, 2]


def test_each_rule_by_hand():
    clips = video.Clips.of(TABLE).videos
    np.testing.assert_allclose(clips.scores(), [0.3, 0.7])
    logit = 2.0 * logistic.to_logit(np.array([[0.2, 0.4], [0.8, 0.6]]))  # before the temperature
    expected = logistic.to_score(logit.mean(axis=1))
    np.testing.assert_allclose(clips.by_rule["mean logit"], expected)
    np.testing.assert_allclose(clips.raw_scores(), logistic.to_score(logit).mean(axis=1))
    # Weights 0.6 and 0.2, by how far from 0.5 the scores are.
    expected = [(0.6 * 0.2 + 0.2 * 0.4) / 0.8, (0.6 * 0.8 + 0.2 * 0.6) / 0.8]
    np.testing.assert_allclose(clips.by_rule["confidence-weighted mean"], expected)
    np.testing.assert_allclose(clips.by_rule["mean of the 8 highest"], [0.3, 0.7])
    picture = video.Clips.of(TABLE).by_rule["confidence-weighted mean"][1]
    assert picture == pytest.approx(0.5)


def test_frames_that_weigh_more_count_more():
    weighed = dataclasses.replace(TABLE, extra={"weight": np.arange(1.0, 7.0)})
    clips = video.Clips.of(weighed).videos
    # Of frame 9, the face that speaks for it is the fourth row.
    np.testing.assert_allclose(clips.scores(), [(2 * 0.2 + 5 * 0.4) / 7, (0.8 + 4 * 0.6) / 5])
    assert list(clips.by_rule)[:2] == ["weighted mean probability", "mean probability"]


def test_the_highest_frames_are_those_of_each_clip_whatever_the_order():
    rng = np.random.default_rng(0)
    score = rng.random(30).round(2)
    rows = [(f"c/real/{i % 3}", i, 0, 0, each) for i, each in enumerate(score)]
    clips = video.Clips.of(make_table([rows[i] for i in rng.permutation(30)]))
    expected = [np.sort(score[i::3])[-video.TOP :].mean() for i in range(3)]
    np.testing.assert_allclose(clips.by_rule["mean of the 8 highest"], expected)


def test_clip_with_two_labels_is_an_error():
    table = make_table([("c/swap/000", 0, 0, 1, 0.8), ("c/swap/000", 1, 0, 0, 0.2)])
    with pytest.raises(ValueError, match="clip 'c/swap/000' has faces of both labels"):
        video.Clips.of(table)


def test_no_rows_are_no_clips():
    clips = video.Clips.of(TABLE.rows(np.zeros(len(TABLE), bool))).videos
    assert (len(clips), len(clips.scores())) == (0, 0)
