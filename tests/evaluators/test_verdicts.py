"""Files of a prepared split are put together from its crops, and judged as a user's are."""

import numpy as np
import pytest

from dfjax import logistic, model_card, verdict
from dfjax.evaluators import frame, verdicts
from dfjax.faces.crop_spec import CropSpec
from tests import cards

LEFT, RIGHT = (0, 0, 100, 100), (300, 0, 420, 120)


def make_scores(rows) -> frame.Scores:
    """Rows of (clip, frame, label, score, box), faces of good quality."""
    clip, frames, label, score, box = (list(column) for column in zip(*rows, strict=True))
    count = len(rows)
    return frame.Scores(
        index=np.arange(count),
        clip=np.array(clip),
        frame=np.array(frames),
        time=np.array(frames) / 25,
        face=np.arange(count),
        method=np.where(np.array(label) == 1, "swap", "real"),
        origin_ids=np.array(clip),
        label=np.array(label),
        logit=logistic.to_logit(np.array(score)),
        strangeness=np.full(count, np.nan),
        attention=np.full(count, np.nan),
        box=np.array(box, float),
        scale=np.full(count, 1.0),
        padded=np.zeros(count),
        brightness=np.full(count, 120.0),
        sharpness=np.full(count, 50.0),
        bits_per_pixel=np.full(count, 3.0),
    )


def make_card(**decisions) -> model_card.ModelCard:
    fields = {"model_name": "m", "model_arguments": {}, "image_size": 32, "weights": "", "step": 0}
    return model_card.ModelCard(
        **fields, crop_spec=CropSpec(), decisions=decisions, synthetic=False, protocol={}
    )


def test_tracks_follow_boxes_through_the_frames_of_a_clip():
    # Two people who drift; the one on the right, larger and listed first, is away once.
    rows = []
    for number, at in enumerate((0, 7, 14, 21)):
        drift = 12 * number
        if number != 2:
            rows.append(("c", at, 0, 0.2, np.add(RIGHT, (drift, 0, drift, 0))))
        rows.append(("c", at, 0, 0.1, np.add(LEFT, (drift, 0, drift, 0))))
    (file,) = verdicts.files(make_scores(rows), model_card.QualityLimits())
    assert file.kind == "video"
    tracks = {}
    for face in file.faces:
        tracks.setdefault(face.track, []).append((face.frame, round(face.score, 3)))
    assert tracks == {
        0: [(0, 0.2), (7, 0.2), (21, 0.2)],
        1: [(0, 0.1), (7, 0.1), (14, 0.1), (21, 0.1)],
    }


def test_a_clip_of_one_frame_is_a_picture_and_its_faces_are_people():
    rows = [("a", 0, 0, 0.3, LEFT), ("a", 0, 0, 0.4, RIGHT), ("b", 0, 1, 0.9, LEFT)]
    first, second = verdicts.files(make_scores(rows), model_card.QualityLimits())
    assert (first.clip, first.kind, [face.track for face in first.faces]) == ("a", "image", [0, 1])
    assert (second.clip, second.label, len(second.faces)) == ("b", 1, 1)


def test_decisions_are_of_the_kinds_of_files_there_are():
    pictures = [(f"p{i}", 0, i % 2, 0.2 + 0.6 * (i % 2), LEFT) for i in range(8)]
    videos = [(f"v{i}", at, i % 2, 0.1 + 0.8 * (i % 2), LEFT) for i in range(6) for at in range(4)]
    options = {"error_rate": 0.2, "min_video_frames": 3}
    limits = model_card.QualityLimits()
    both = verdicts.fit_decisions(make_scores(pictures + videos), limits, **options)
    assert both["frame"].fitted_on == {"real": 16, "fake": 16, "frames": 1}
    assert both["image"].fitted_on == {"real": 4, "fake": 4, "frames": 1}
    assert both["video"].fitted_on == {"real": 3, "fake": 3, "frames": 4}
    assert [each.frames for each in both["video"].limits] == [3, 4]
    assert set(verdicts.fit_decisions(make_scores(pictures), limits, **options)) == {
        "frame",
        "image",
    }
    # Videos of too few frames get no verdict, so none can be fitted.
    short = [row for row in videos if row[1] < 2]
    assert set(verdicts.fit_decisions(make_scores(short), limits, **options)) == {"frame"}


def test_dark_faces_and_missing_ones_count_against_the_coverage():
    rows = [
        (f"v{i}", at, i % 2, score, LEFT)
        for i, score in enumerate((0.1, 0.9, 0.8, 0.9, 0.5, 0.3))
        for at in range(3)
    ]
    scores = make_scores(rows)
    scores.brightness[scores.clip == "v1"] = 5.0
    card = make_card(frame=cards.make_threshold(), video=cards.make_decision((3, 0.4, 0.6, 1.0)))
    files = verdicts.files(scores, card.quality)
    assert {face.quality for face in files[1].faces} == {"too_dark"}
    measured = verdicts.measure(files, card, {"real": 2, "fake": 1})
    assert measured["video"] == {
        "files": 6,
        "verdicts": 4,
        "coverage": pytest.approx(4 / 6),
        "wrong": 2,
        "counts": {
            "real": {"real": 1, "fake": 1, "inconclusive": 1},
            "fake": {"real": 1, "fake": 1, "inconclusive": 1},
        },
        "reals_called_fake": pytest.approx(1 / 3),
        "fakes_called_real": pytest.approx(1 / 3),
        "reasons": {"too_dark": 1, "undecided": 1},
    }
    assert measured["no_face"] == {"files": 3, "real": 2, "fake": 1}
    # The same verdicts as the rule gives one by one.
    labels = [verdict.judge(file.faces, kind="video", card=card).label for file in files]
    assert labels == ["real", "inconclusive", "fake", "fake", "inconclusive", "real"]
