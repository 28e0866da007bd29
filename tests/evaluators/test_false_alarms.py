"""Simulated files of several faces, against all files there can be, judged by `verdict.judge`."""

import itertools

import numpy as np
import pytest

from dfjax import logistic, model_card, verdict
from dfjax.evaluators import false_alarms
from dfjax.evaluators.score_table import ScoreTable
from dfjax.faces.crop_spec import CropSpec
from tests import cards

CARD = model_card.ModelCard(
    model_name="m",
    model_arguments={},
    image_size=32,
    crop_spec=CropSpec(),
    decisions={
        "frame": cards.make_threshold(0.6),
        "video": cards.make_decision((3, 0.3, 0.7, 0.5), (5, 0.4, 0.6, 0.4)),
    },
    weights="",
    step=0,
    synthetic=False,
    protocol={},
)
# The scores of the faces of each clip, a row for each track; those of nan are too dark to count.
DARK = np.nan
REALS = [
    [[0.2, 0.3, 0.1]],
    [[0.75, 0.72, 0.74, DARK, 0.71]],  # fake among one track, perhaps not among five
    [[0.65, 0.7, 0.6, 0.66, 0.62]],
    [[0.5, 0.3, 0.4, 0.35]],
    [[0.9, DARK, DARK]],  # too few usable faces
    [[0.1, 0.2, 0.1], [0.95, 0.9, 0.99, 0.97, 0.8]],
]
FAKES = [[[0.1, 0.1, 0.1], [0.9, 0.95, 0.99]], [[0.5, 0.5, 0.5]], [[DARK, 0.9, 0.9]]]


def make_table(reals, fakes) -> ScoreTable:
    rows = [
        (f"c/{label}/{number}", label, track, frame, score)
        for label, clips in enumerate((reals, fakes))
        for number, tracks in enumerate(clips)
        for track, scores in enumerate(tracks)
        for frame, score in enumerate(scores)
    ]
    clip, label, track, frame, score = (np.array(each) for each in zip(*rows, strict=True))
    quality = np.where(np.isnan(score), "too_dark", "").astype(object)
    score = np.where(np.isnan(score), 0.99, score)  # it must not count
    return ScoreTable(
        corpus=np.full(len(rows), "c", object),
        clip=clip.astype(object),
        method=np.array(["real", "swap"], object)[label],
        frame=frame,
        time=np.full(len(rows), np.nan),
        face=track,
        track=track,
        label=label,
        logit=logistic.to_logit(score),
        score=score,
        extra={"quality": quality},
    )


def judge(tracks, kind: str = "video") -> str:
    """The verdict of the rule on a file of these tracks."""
    faces = [
        verdict.FaceScore(frame, None, number, score, "too_dark" if np.isnan(score) else None)
        for number, scores in enumerate(tracks)
        for frame, score in enumerate(scores)
    ]
    return verdict.judge(faces, kind=kind, card=CARD).label


def files_of(reals, count: int):
    """All files of `count` real faces, each with its probability."""
    tracks = [(scores, 1 / len(clip) / len(reals)) for clip in reals for scores in clip]
    for chosen in itertools.product(tracks, repeat=count):
        yield [scores for scores, _ in chosen], np.prod([share for _, share in chosen])


def test_rates_are_those_of_all_files_that_can_be_put_together():
    measured = false_alarms.measure(make_table(REALS, FAKES), CARD, np.random.default_rng(0))
    assert (measured["kind"], measured["clips"]) == ("video", {"real": 6, "fake": 3})
    assert [row["faces"] for row in measured["faces"]] == [1, 3, 5]
    suspicious = [clip[-1] for clip in FAKES]
    for row, count in zip(measured["faces"], (1, 3), strict=False):
        said = [(judge(tracks), share) for tracks, share in files_of(REALS, count)]
        expected = {
            "false_alarm": sum(share for label, share in said if label == "fake"),
            "coverage": sum(share for label, share in said if label != "inconclusive"),
            "detected": np.mean(
                [
                    sum(
                        share
                        for tracks, share in files_of(REALS, count - 1)
                        if judge([fake, *tracks]) == "fake"
                    )
                    for fake in suspicious
                ]
            ),
        }
        for name, rate in expected.items():
            assert row[name]["value"] == pytest.approx(rate, abs=0.015), (count, name)
            assert row[name]["low"] <= row[name]["value"] <= row[name]["high"]


def test_without_a_correction_false_alarms_grow_as_of_independent_faces():
    # Of ten people in clear frames, one is called fake.
    reals = [[[0.1, 0.2, 0.1]]] * 9 + [[[0.9, 0.8, 0.9]]]
    measured = false_alarms.measure(make_table(reals, FAKES), CARD, np.random.default_rng(0))
    for row in measured["faces"]:
        assert row["one_limit"]["value"] == pytest.approx(1 - 0.9 ** row["faces"], abs=0.015)
        assert row["false_alarm"]["value"] <= row["one_limit"]["value"]
    # The bootstrap of one face is that of a share of ten: 0.1 to within two standard deviations.
    assert measured["faces"][0]["false_alarm"]["low"] == 0.0
    assert measured["faces"][0]["false_alarm"]["high"] == pytest.approx(0.3, abs=0.05)


def test_pictures_are_simulated_where_there_is_no_real_video():
    pictures = [[[0.2]], [[0.7]]]
    measured = false_alarms.measure(make_table(pictures, FAKES), CARD, np.random.default_rng(0))
    assert (measured["kind"], measured["clips"]) == ("image", {"real": 2, "fake": 0})
    assert measured["faces"][0]["false_alarm"]["value"] == pytest.approx(0.5, abs=0.015)
    assert "detected" not in measured["faces"][0]
    table = make_table([], FAKES)
    assert false_alarms.measure(table, CARD, np.random.default_rng(0)) is None
