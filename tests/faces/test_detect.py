"""dlib finds what a spec asks for, and says what is missing; photographs by DFJAX_TEST_DATA."""

import itertools
import os
import pathlib
import pickle

import numpy as np
import pytest

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces import crop as crop_lib
from dfjax.faces import detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.media import image as image_lib
from dfjax.media import stream

DATA = pathlib.Path(os.environ.get("DFJAX_TEST_DATA", ""))
needs_photographs = pytest.mark.skipif(
    "DFJAX_TEST_DATA" not in os.environ, reason="set DFJAX_TEST_DATA to a folder of photographs"
)
AS_IS = CropSpec(crops="as-is", detector="none", landmarks=0)


def photographs(pattern: str, count: int) -> list[np.ndarray]:
    paths = sorted(DATA.glob(pattern))
    return [image_lib.read_image(path) for path in paths[:: max(1, len(paths) // count)][:count]]


def side_by_side(*images: np.ndarray) -> np.ndarray:
    height = min(len(image) for image in images)
    return np.concatenate([image[:height] for image in images], axis=1)


def test_a_missing_model_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        FaceDetector(CropSpec(), model_dir=tmp_path)
    assert str(tmp_path / "shape_predictor_5_face_landmarks.dat") in str(error.value)
    assert "pip install face_recognition_models" in str(error.value)


def test_crops_as_they_are_need_no_detector():
    picture = np.zeros((300, 200, 3), np.uint8)
    assert [crop.image.shape for crop in crop_lib.cut_faces(picture, [], AS_IS)] == [(256, 256, 3)]
    with pytest.raises(ValueError, match="need no FaceDetector"):
        FaceDetector(AS_IS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40_000), (40_000, 1), (300, 200)])
def test_pictures_without_a_face_give_no_crop(shape):
    picture = np.full((*shape, 3), 128, np.uint8)
    assert crop_lib.cut_faces(picture, FaceDetector(CropSpec()).detect(picture), CropSpec()) == []


@pytest.fixture(scope="module")
def drawn() -> list[np.ndarray]:
    """Frames of a drawn person."""
    return synthetic.film(synthetic.Settings(frames=4), 3, 0).frames


@pytest.mark.parametrize("working_size", [1280, 320])
def test_following_in_the_same_frame_changes_nothing(drawn, working_size):
    detector = FaceDetector(CropSpec(working_size=working_size, detection_border=0.0))
    (face,) = detector.detect(drawn[0])
    again = detector.follow(drawn[0], face)
    np.testing.assert_array_equal(again.landmarks, face.landmarks)
    np.testing.assert_allclose(again.box, face.box, atol=1e-3)


def test_a_face_is_followed_until_it_leaves(drawn):
    detector = FaceDetector(CropSpec(detection_border=0.0))
    (face,) = detector.detect(drawn[0])
    assert all(detector.follow(frame, face) is not None for frame in drawn)
    left = [
        np.roll(drawn[0], drawn[0].shape[1] // 2, axis=1),
        np.full_like(drawn[0], 90),
        np.random.default_rng(0).integers(0, 256, drawn[0].shape, np.uint8),
        drawn[0][:2, :2],  # nothing of the frame is where the face was
    ]
    assert [detector.follow(frame, face) for frame in left] == [None] * 4


@needs_photographs
def test_real_faces_are_followed_and_backgrounds_are_not():
    detector = FaceDetector(CropSpec(faces="all", detection_border=0.0))
    followed, passed = [], []
    for path in sorted(DATA.glob("videos/*/*.mp4"))[::4]:
        with stream.LiveSource(str(path), keep_all=True) as source:
            # Of a machine that misses two of three.
            frames = [frame.image for frame in itertools.islice(source, 0, 24, 3)]
        known = detector.detect(frames[0])
        for frame in frames[1:]:
            faces = [detector.follow(frame, face) for face in known]
            followed += [face is not None for face in faces]
            elsewhere = np.roll(frame[::-1], frame.shape[1] // 2, axis=1).copy()
            passed += [detector.follow(elsewhere, face) is not None for face in known]
            known = [face for face in faces if face is not None]
    assert len(followed) > 50
    assert np.mean(followed) > 0.98
    assert np.mean(passed) < 0.03


@needs_photographs
@pytest.mark.parametrize("landmarks", [5, 68])
def test_eyes_land_on_the_template(landmarks):
    spec = CropSpec(landmarks=landmarks)
    detector = FaceDetector(spec)
    eyes = []
    for picture in photographs("studio/*/*.jpg", 12):
        (crop,) = crop_lib.cut_faces(picture, detector.detect(picture), spec)
        left, right = ([2, 3], [0, 1]) if landmarks == 5 else (range(36, 42), range(42, 48))
        eyes.append([crop.landmarks[list(left)].mean(0), crop.landmarks[list(right)].mean(0)])
        assert 0.0 <= crop.padded < 0.3
    assert pickle.dumps(detector)  # it travels to workers, even after use
    off = np.array(eyes) / 256 - [(0.3784, 0.4704), (0.6204, 0.4691)]
    # DeepfakeBench's points of the 68 are the upper eyelids: the eye centres come out lower.
    assert np.linalg.norm(off, axis=-1).mean() < (0.015 if landmarks == 5 else 0.03)


@needs_photographs
def test_faces_are_sorted_by_size_and_picked_by_policy():
    small, large = photographs("studio/*/*.jpg", 2)
    small = small[::2, ::2]
    small = np.pad(small, ((0, len(large) - len(small)), (0, 0), (0, 0)), mode="edge")
    picture = side_by_side(small, large)
    everyone = CropSpec(faces="all")
    faces = FaceDetector(everyone).detect(picture)
    assert len(faces) == 2
    widths = [face.box[2] - face.box[0] for face in faces]
    assert widths[0] > 1.5 * widths[1]
    assert faces[0].box[0] > small.shape[1] > faces[1].box[2]
    for face in faces:
        (x0, y0, x1, y1), points = face.box, face.landmarks
        assert x0 < points[:, 0].min() < points[:, 0].max() < x1
        assert y0 < points[:, 1].min() < points[:, 1].max() < y1
    assert len(crop_lib.cut_faces(picture, FaceDetector(everyone).detect(picture), everyone)) == 2
    (only,) = crop_lib.cut_faces(picture, FaceDetector(CropSpec()).detect(picture), CropSpec())
    np.testing.assert_array_equal(only.box, faces[0].box)


@needs_photographs
def test_detection_at_working_size_maps_back_to_the_frame():
    (picture,) = photographs("studio/*/*.jpg", 1)
    (whole,) = FaceDetector(CropSpec()).detect(picture)
    (shrunk,) = FaceDetector(CropSpec(working_size=300)).detect(picture)
    eye_distance = np.linalg.norm(whole.landmarks[0] - whole.landmarks[2])
    assert np.abs(shrunk.landmarks - whole.landmarks).max() < 0.08 * eye_distance
    np.testing.assert_allclose(shrunk.box, whole.box, atol=0.5 * eye_distance)


@needs_photographs
def test_a_reflected_border_finds_more_tight_pictures():
    pictures = photographs("ciplab/*/*.jpg", 40)
    once, twice = FaceDetector(CropSpec(detection_border=0.0)), FaceDetector(CropSpec())
    num_once = sum(bool(once.detect(picture)) for picture in pictures)
    num_twice = sum(bool(twice.detect(picture)) for picture in pictures)
    assert num_twice >= num_once + 2


@needs_photographs
def test_a_face_found_by_a_border_lies_where_it_lies_without():
    once, twice = FaceDetector(CropSpec(detection_border=0.0)), FaceDetector(CropSpec())
    num_compared = 0
    for picture in photographs("studio/*/*.jpg", 8):
        (whole,) = once.detect(picture)
        eye_distance = np.linalg.norm(whole.landmarks[0] - whole.landmarks[2])
        margin = 0.15 * (whole.box[2] - whole.box[0]) * np.array([1, 1, -1, -1])
        x0, y0, x1, y1 = (whole.box + margin).astype(int)
        tight = np.ascontiguousarray(picture[y0:y1, x0:x1])
        if not once.detect(tight):
            # So wide a border shows up to three mirror images of the whole face.
            assert len(FaceDetector(CropSpec(detection_border=1.0)).detect(tight)) <= 1
            for face in twice.detect(tight):
                off = face.landmarks + np.array([x0, y0]) - whole.landmarks
                assert np.abs(off).max() < 0.2 * eye_distance
                num_compared += 1
    assert num_compared >= 4


@needs_photographs
def test_mmod_finds_the_same_face():
    (picture,) = photographs("studio/*/*.jpg", 1)
    (by_hog,) = FaceDetector(CropSpec()).detect(picture)
    small = CropSpec(detector="mmod", working_size=320)  # the network is slow without a GPU
    (by_mmod,) = FaceDetector(small).detect(picture)
    eye_distance = np.linalg.norm(by_hog.landmarks[0] - by_hog.landmarks[2])
    assert np.abs(by_mmod.landmarks - by_hog.landmarks).max() < 0.1 * eye_distance


@needs_photographs
def test_a_crowd_is_capped(monkeypatch):
    monkeypatch.setattr(detect, "MAX_FACES", 2)
    picture = side_by_side(*photographs("studio/*/*.jpg", 3))
    assert len(FaceDetector(CropSpec(faces="all")).detect(picture)) == 2
