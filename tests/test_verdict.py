"""Scores become verdicts by limits that a test can work out by hand."""

import dataclasses

import numpy as np
import pytest
import scipy.special
import scipy.stats

from dfjax import model_card, phrases, verdict
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from tests import cards

CARD = model_card.ModelCard(
    model_name="resnet18",
    model_arguments={},
    image_size=32,
    crop_spec=CropSpec(),
    decisions={
        "frame": cards.make_decision((1, 0.3, 0.7, 1.0)),
        "video": cards.make_decision((3, 0.2, 0.8, 1.0), (6, 0.4, 0.4, 0.5)),
    },
    weights="",
    step=0,
    synthetic=False,
    protocol={},
)


def make_faces(*scores, track=0, quality=None):
    return [verdict.FaceScore(i, None, track, s, quality, None) for i, s in enumerate(scores)]


def judge(faces, *, kind="image", card=CARD):
    judged = verdict.judge(faces, kind=kind, card=card)
    return judged.label, judged.score, judged.reason


def test_picture_is_decided_outside_the_band_only():
    assert judge(make_faces(0.29)) == ("real", 0.29, None)
    assert judge(make_faces(0.3)) == ("inconclusive", 0.3, "undecided")
    assert judge(make_faces(0.69)) == ("inconclusive", 0.69, "undecided")
    assert judge(make_faces(0.7)) == ("fake", 0.7, None)


def test_video_scores_the_mean_of_a_track_and_few_frames_have_wider_limits():
    assert judge(make_faces(0.1, 0.2, 0.2), kind="video")[0] == "real"  # the mean is under 0.2
    assert judge(make_faces(0.1, 0.3, 0.8), kind="video") == (
        "inconclusive",
        pytest.approx(0.4),
        "undecided",
    )
    # Five frames count as three; six have limits of their own, and an empty band.
    assert judge(make_faces(*[0.4] * 5), kind="video")[0] == "inconclusive"
    assert judge(make_faces(*[0.41] * 6), kind="video")[0] == "fake"
    assert judge(make_faces(*[0.39] * 7), kind="video")[0] == "real"


def test_each_of_several_tracks_has_its_share_of_the_error_rate():
    # A standard normal distribution is above 1.645 in 5 % and above 1.960 in 2.5 %: with a spread
    # of 1, the logit of `high` moves by their difference.
    low, high = CARD.decision("frame").bounds(1, 2)
    assert low == 0.3
    assert np.log(high / (1 - high)) == pytest.approx(np.log(0.7 / 0.3) + 1.95996 - 1.64485, 1e-5)
    alone = make_faces(0.75)
    assert judge(alone) == ("fake", 0.75, None)
    assert judge(alone + make_faces(0.1, track=1)) == ("inconclusive", 0.75, "undecided")
    assert judge(make_faces(0.8) + make_faces(0.1, track=1)) == ("fake", 0.8, None)


def test_the_most_suspicious_track_decides_on_the_file():
    faces = make_faces(0.0, 0.1, 0.1, track=4) + make_faces(0.9, 0.95, 1.0, track=7)
    assert judge(faces, kind="video") == ("fake", pytest.approx(0.95), None)
    assert verdict.track_scores(faces) == {4: pytest.approx(0.2 / 3), 7: pytest.approx(0.95)}
    # A long track that is fake outweighs a short one of a higher score that is undecided.
    faces = make_faces(*[0.6] * 6, track=0) + make_faces(0.7, 0.7, 0.7, track=1)
    assert judge(faces, kind="video") == ("fake", pytest.approx(0.6), None)


def test_tracks_of_a_file_are_judged_together():
    faces = make_faces(0.75, track=0) + make_faces(0.1, track=1)
    verdicts = verdict.judge_tracks(faces, kind="image", card=CARD)
    assert [verdicts[track].label for track in (0, 1)] == ["inconclusive", "real"]
    assert verdicts[0].bounds == CARD.decision("frame").bounds(1, 2)


def test_a_short_track_does_not_outweigh_a_long_track():
    faces = make_faces(0.1, 0.1, 0.1, track=0) + make_faces(1.0, 1.0, track=1)
    assert judge(faces, kind="video") == ("real", pytest.approx(0.1), None)


def test_without_a_face_or_a_usable_one_there_is_no_score():
    assert judge([]) == ("inconclusive", None, "no_face")
    faces = make_faces(0.9, 0.9, quality="too_dark") + make_faces(0.9, quality="too_small")
    assert judge(faces, kind="video") == ("inconclusive", None, "too_dark")


def test_unusable_faces_do_not_count():
    faces = make_faces(0.0, 0.0, 0.0) + make_faces(1.0, 1.0, 1.0, quality="too_blurred")
    assert judge(faces, kind="video") == ("real", 0.0, None)


def test_two_frames_are_too_few_for_a_video():
    assert judge(make_faces(0.9, 0.9), kind="video") == ("inconclusive", 0.9, "too_few_frames")


def test_model_selected_on_pictures_decides_on_videos_by_the_same_numbers():
    card = dataclasses.replace(CARD, decisions={"frame": CARD.decisions["frame"]})
    assert judge(make_faces(0.5, 0.5, 0.5), kind="video", card=card)[0] == "inconclusive"
    assert judge(make_faces(0.71, 0.71, 0.71), kind="video", card=card)[0] == "fake"


@pytest.mark.parametrize(("real", "is_few"), [(19, True), (20, False)])
def test_a_rate_of_one_in_twenty_shows_in_twenty_files(real, is_few):
    decision = dataclasses.replace(CARD.decision("frame"), error_rate=0.05)
    fitted = {"real": real, "fake": 300, "frames": 1}
    assert dataclasses.replace(decision, fitted_on=fitted).rests_on_few == is_few


def test_evidence_is_as_strong_as_few_reals_would_show_it():
    # Logits of reals: 5 % lie above that of 0.7, with a spread of 1. Tables of tolerance factors
    # have 2.475 for 1 % of 500 values.
    decision = dataclasses.replace(CARD.decision("frame"), fitted_on={"real": 500, "fake": 1})
    z = scipy.stats.norm.ppf([0.95, 0.99, 0.999])
    factors = z[1:] + z[0] * np.sqrt((1 + z[1:] ** 2 / 2) / 500)
    assert factors[0] == pytest.approx(2.475, abs=0.01)
    expected = scipy.special.expit(scipy.special.logit(0.7) + factors - z[0])
    assert decision.stricter() == pytest.approx(expected.tolist())
    card = dataclasses.replace(CARD, decisions={"frame": decision})
    strong, very_strong = decision.stricter()
    levels = {
        score: verdict.judge(make_faces(score), kind="image", card=card).level
        for score in (0.1, 0.5, 0.7, strong, very_strong)
    }
    assert list(levels.values()) == [
        "none_found",
        "no_verdict",
        "moderate",
        "strong",
        "very_strong",
    ]
    # Of two faces, each has half of a share.
    beside = verdict.judge(make_faces(strong) + make_faces(0.1, track=1), kind="image", card=card)
    assert beside.level == "moderate"


def test_evidence_is_never_below_what_is_called_fake():
    many = {"real": 10**6}
    decision = dataclasses.replace(CARD.decision("frame"), error_rate=0.0005, fitted_on=many)
    assert decision.stricter() == pytest.approx([0.7, 0.7])


@pytest.mark.parametrize("reason", ["too_small", "unlike_training", "too_dark"])
def test_what_a_model_is_not_made_for_is_told_from_what_it_cannot_say(reason):
    judged = verdict.judge(make_faces(0.99, quality=reason), kind="image", card=CARD)
    assert judged.level == ("no_verdict" if reason == "too_dark" else "not_applicable")
    assert verdict.judge([], kind="image", card=CARD).level == "not_applicable"


def test_a_crowd_is_out_of_scope_whatever_its_scores():
    crowd = [verdict.FaceScore(0, None, track, 0.99, None) for track in range(11)]
    judged = verdict.judge(crowd, kind="image", card=CARD)
    assert (judged.reason, judged.level) == ("too_many_faces", "not_applicable")
    assert verdict.judge(crowd[:10], kind="image", card=CARD).reason != "too_many_faces"
    # Of three frames with faces, one with a crowd is no crowd.
    passing = crowd + [verdict.FaceScore(frame, None, 0, 0.1, None) for frame in (1, 2)]
    assert verdict.judge(passing, kind="video", card=CARD).reason != "too_many_faces"


def test_a_track_that_is_fake_for_a_while_is_not_called_real():
    # Two parts of three faces in a row: each has half of the error rate, above 0.8.
    limit = CARD.decision("video").bounds(3, 2)[1]
    faces = make_faces(0.0, 0.0, 0.0, limit + 0.01, limit, limit)
    card = dataclasses.replace(CARD, decisions={"video": cards.make_decision((3, 0.6, 0.8, 1.0))})
    assert judge(faces, kind="video", card=card)[0::2] == ("inconclusive", "moment")
    (moment,) = verdict.moments(faces, kind="video", card=card)
    assert [face.frame for face in moment.faces] == [3, 4, 5]
    assert moment.score == pytest.approx(limit + 0.01 / 3)
    faces = make_faces(0.0, 0.0, 0.0, limit - 0.01, limit, limit)
    assert judge(faces, kind="video", card=card)[0] == "real"
    assert verdict.moments(faces, kind="video", card=card) == []
    assert verdict.moments(make_faces(1.0), kind="image", card=card) == []


def test_moments_are_in_order_of_time_and_one_where_they_touch():
    first = make_faces(*[0.0] * 6, *[1.0] * 4, 0.0, 0.0, track=0)
    second = make_faces(*[1.0] * 3, *[0.0] * 9, track=1)
    found = verdict.moments(first + second, kind="video", card=CARD)
    frames = [(moment.track, [face.frame for face in moment.faces]) for moment in found]
    assert frames == [(1, [0, 1, 2]), (0, [6, 7, 8, 9])]


@pytest.mark.parametrize(
    ("score", "written"),
    [(0.0, "under 1%"), (0.01, "1%"), (0.625, "62%"), (0.99, "99%"), (0.9901, "over 99%")],
)
def test_no_score_is_written_as_certainty(score, written):
    assert phrases.percent(score) == written


LIMITS = model_card.QualityLimits()


def make_crop(image, scale=1.0):
    zeros = np.zeros((5, 2), np.float32)
    crop = align.resize_crop(image, CropSpec(size=128))
    return dataclasses.replace(crop, landmarks=zeros, scale=scale)


def test_quality_of_a_crop():
    rng = np.random.default_rng(0)
    noisy = rng.integers(90, 160, (128, 128, 3), np.uint8)
    assert verdict.check_quality(make_crop(noisy), LIMITS) is None
    assert verdict.check_quality(make_crop(noisy, scale=3.1), LIMITS) == "too_small"
    assert verdict.check_quality(make_crop(noisy // 12), LIMITS) == "too_dark"
    assert verdict.check_quality(make_crop(255 - noisy // 16), LIMITS) == "too_dark"
    flat = np.full((128, 128, 3), 120, np.uint8)
    assert verdict.check_quality(make_crop(flat), LIMITS) == "too_blurred"
