"""Media become verdicts by the crops that preparing makes, whatever happens to the file."""

import collections
import csv
import os
import pathlib

import cv2
import numpy as np
import pytest

from dfjax.corpora.clip import Clip
from dfjax.faces import align, detect
from dfjax.inference.detector import Detector
from dfjax.media import image as media_image
from dfjax.media import limits, video
from dfjax.preparation.crop_clip import crop_clip
from tests.inference.detectors import AS_IS, SPEC, brightness_logits, make_detector


def test_scores_are_those_of_the_crops_that_preparing_makes(clip):
    result = make_detector().video(clip, num_frames=5)
    prepared = crop_clip(Clip("k", str(clip), 0, "real", "test", ()), SPEC, 5)
    assert [face.frame for face in result.faces] == [0, 5, 11, 17, 23]
    assert {face.track for face in result.faces} == {0}
    crops = np.stack([media_image.decode_image(crop["image"]) for crop in prepared.crops])
    np.testing.assert_array_equal(np.stack([face.crop.image for face in result.faces]), crops)
    expected = 1 / (1 + np.exp(-brightness_logits(crops)))
    np.testing.assert_allclose([face.score for face in result.faces], expected, atol=1e-12)
    assert result.verdict.score == pytest.approx(expected.mean(), abs=1e-12)
    assert [face.time for face in result.faces] == [0, 5 / 25, 11 / 25, 17 / 25, 23 / 25]


def test_a_sound_video_above_the_frame_limit_is_not_called_damaged(clip, monkeypatch):
    assert not any("damaged" in warning for warning in make_detector().video(clip).warnings)
    monkeypatch.setattr(limits, "MAX_VIDEO_FRAMES", 11)
    result = make_detector().video(clip, num_frames=3)
    assert [face.frame for face in result.faces] == [0, 5, 10]
    assert not any("damaged" in warning for warning in result.warnings)


def test_a_crowd_beyond_the_limit_is_said(take, monkeypatch):
    monkeypatch.setattr(detect, "MAX_FACES", 1)
    assert make_detector().image(take.frames[0]).warnings[-1].startswith("1 faces, the most that")


def test_every_face_is_judged_even_if_training_saw_the_largest_alone(take):
    both = np.concatenate([take.frames[0], take.frames[0][:, ::-1] // 2], axis=1)
    result = make_detector().image(both)
    assert sorted(face.track for face in result.faces) == [0, 1]
    width = take.frames[0].shape[1]
    scores = {face.crop.box[0] > width: face.score for face in result.faces}
    assert scores[False] > scores[True]
    assert result.verdict.score == scores[False]


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real faces")
@pytest.mark.parametrize(("reidentify", "expected"), [(False, [0, 1, 2]), (True, [0, 1, 0])])
def test_a_person_who_comes_back_after_a_cut_is_the_same_track_on_request(
    tmp_path, reidentify, expected
):
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "studio")
    pictures = collections.defaultdict(list)
    for row in csv.DictReader((folder / "manifest.csv").read_text().splitlines()):
        pictures[row["identity"]].append(folder / row["path"])
    (first, again, *_), (other, *_), *_ = (paths for paths in pictures.values() if len(paths) > 1)
    side = 400
    wide = np.zeros((3, side, 3 * side, 3), np.uint8)  # every scene has its face elsewhere
    for place, path in enumerate((first, other, again)):
        picture = cv2.resize(media_image.read_image(path), (side, side))
        wide[place, :, place * side : (place + 1) * side] = picture
    video.write_video(tmp_path / "cuts.mp4", [*np.repeat(wide, 4, axis=0)], fps=25, crf=12)
    result = make_detector(reidentify=reidentify).video(tmp_path / "cuts.mp4", num_frames=12)
    assert [face.track for face in result.faces] == np.repeat(expected, 4).tolist()


def test_temperature_flattens_scores(take):
    plain = make_detector().image(take.frames[0]).faces[0].score
    flat = make_detector(temperature=2.0).image(take.frames[0]).faces[0].score
    assert np.log(flat / (1 - flat)) == pytest.approx(np.log(plain / (1 - plain)) / 2)


def test_no_face_is_no_score():
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    result = make_detector().image(noise)
    assert (result.verdict.label, result.verdict.score) == ("inconclusive", None)
    assert result.verdict.reason == "no_face"


def test_model_of_pictures_as_they_are_takes_whole_pictures_unless_asked_to_align(take):
    detector = make_detector(AS_IS)
    whole = detector.image(take.frames[0]).faces[0]
    np.testing.assert_array_equal(whole.crop.image, align.resize_crop(take.frames[0], AS_IS).image)
    aligned = Detector(detector.scorer, always_align=True)
    assert "shown aligned faces" in aligned.warnings[0]
    assert aligned.image(take.frames[0]).faces[0].crop.scale != whole.crop.scale


def test_synthetic_models_say_so(take):
    result = make_detector(synthetic=True).image(take.frames[0])
    assert "synthetic" in result.warnings[0]
