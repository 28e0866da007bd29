import dataclasses

import numpy as np
import pytest

from dfjax import model_card
from dfjax.faces import align
from dfjax.inference import verdict

CARD = model_card.ModelCard(
    model="resnet18",
    arguments={},
    image_size=32,
    crop_spec=align.CropSpec(),
    decisions={
        "frame": model_card.Decision(0.5, low=0.3, high=0.7, error_rate=0.05),
        "video": model_card.Decision(0.4, low=0.9, high=0.1, error_rate=0.05),
    },
    weights="",
    step=0,
    synthetic=False,
    protocol={},
)


def make_faces(*scores, track=0, quality=None):
    return [verdict.FaceScore(i, None, track, s, quality, None) for i, s in enumerate(scores)]


def judge(faces, *, is_video=False, card=CARD):
    found = verdict.judge(faces, is_video=is_video, card=card)
    return found.label, found.score, found.reason


def test_picture_is_decided_outside_the_band_only():
    assert judge(make_faces(0.29)) == ("real", 0.29, None)
    assert judge(make_faces(0.3)) == ("inconclusive", 0.3, "undecided")
    assert judge(make_faces(0.69)) == ("inconclusive", 0.69, "undecided")
    assert judge(make_faces(0.7)) == ("fake", 0.7, None)


def test_video_scores_the_mean_of_a_track_and_its_empty_band_decides_by_threshold():
    assert judge(make_faces(0.1, 0.2, 0.8), is_video=True) == ("real", pytest.approx(1.1 / 3), None)
    assert judge(make_faces(0.1, 0.3, 0.8), is_video=True) == ("fake", pytest.approx(0.4), None)


def test_the_most_suspicious_track_speaks_for_the_file():
    faces = make_faces(0.0, 0.1, 0.1, track=4) + make_faces(0.9, 0.8, 1.0, track=7)
    assert judge(faces, is_video=True) == ("fake", pytest.approx(0.9), None)
    assert verdict.track_scores(faces) == {4: pytest.approx(0.2 / 3), 7: pytest.approx(0.9)}


def test_a_glimpse_of_somebody_does_not_outweigh_a_long_track():
    faces = make_faces(0.1, 0.1, 0.1, track=0) + make_faces(1.0, 1.0, track=1)
    assert judge(faces, is_video=True) == ("real", pytest.approx(0.1), None)


def test_without_a_face_or_a_usable_one_there_is_no_score():
    assert judge([]) == ("inconclusive", None, "no_face")
    faces = make_faces(0.9, 0.9, quality="too_dark") + make_faces(0.9, quality="too_small")
    assert judge(faces, is_video=True) == ("inconclusive", None, "too_dark")


def test_unusable_faces_do_not_count():
    faces = make_faces(0.0, 0.0, 0.0) + make_faces(1.0, 1.0, 1.0, quality="too_blurred")
    assert judge(faces, is_video=True) == ("real", 0.0, None)


def test_two_frames_are_too_few_for_a_video():
    assert judge(make_faces(0.9, 0.9), is_video=True) == ("inconclusive", 0.9, "too_few_frames")


def test_model_selected_on_pictures_decides_on_videos_by_the_same_numbers():
    card = dataclasses.replace(CARD, decisions={"frame": CARD.decisions["frame"]})
    assert judge(make_faces(0.5, 0.5, 0.5), is_video=True, card=card)[0] == "inconclusive"


def make_crop(image, scale=1.0):
    zeros = np.zeros((5, 2), np.float32)
    crop = align.resize_crop(image, align.CropSpec(size=128))
    return dataclasses.replace(crop, landmarks=zeros, scale=scale)


def test_quality_of_a_crop():
    rng = np.random.default_rng(0)
    noisy = rng.integers(90, 160, (128, 128, 3), np.uint8)
    assert verdict.check_quality(make_crop(noisy)) is None
    assert verdict.check_quality(make_crop(noisy, scale=3.1)) == "too_small"
    assert verdict.check_quality(make_crop(noisy // 12)) == "too_dark"
    assert verdict.check_quality(make_crop(255 - noisy // 16)) == "too_dark"
    flat = np.full((128, 128, 3), 120, np.uint8)
    assert verdict.check_quality(make_crop(flat)) == "too_blurred"
