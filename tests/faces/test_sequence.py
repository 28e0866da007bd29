"""When a whole frame is searched, and that searching near the last boxes gives the same faces."""

import dataclasses
import os
import pathlib

import cv2
import numpy as np
import pytest

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces import track
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import image as media_image

DATA = pathlib.Path(os.environ.get("DFJAX_TEST_DATA", ""))
needs_photographs = pytest.mark.skipif(
    "DFJAX_TEST_DATA" not in os.environ, reason="set DFJAX_TEST_DATA to a folder of photographs"
)
DAY, NIGHT = np.full((80, 120, 3), 200, np.uint8), np.zeros((80, 120, 3), np.uint8)


def face(left: float, side: float, confidence: float = 1.0) -> Face:
    box = np.array([left, 0, left + side, side], np.float32)
    return Face(box, np.zeros((5, 2), np.float32), confidence)


class Script:
    """A detector with scripted faces for each frame; records the frames that it searched.

    `hidden` faces are seen only by `detect_near`.
    """

    def __init__(self, frames: list[list[Face]], hidden: tuple[Face, ...] = (), **fields):
        self.spec = dataclasses.replace(CropSpec(faces="all"), **fields)
        self.frames, self.hidden, self.number, self.searched = frames, hidden, -1, []

    def detect(self, image: np.ndarray) -> list[Face]:
        self.searched.append(self.number)
        hidden = [id(each) for each in self.hidden]
        return [each for each in self.frames[self.number] if id(each) not in hidden]

    def detect_near(self, image: np.ndarray, box: np.ndarray) -> Face | None:
        near = [each for each in self.frames[self.number] if track.iou(each.box, box) > 0.3]
        return near[0] if near else None

    def run(self, images: list[np.ndarray]) -> list[list[float]]:
        """Where the faces of each frame begin."""
        detector, found = VideoFaceDetector(self), []
        for self.number, image in enumerate(images):
            found.append([float(each.box[0]) for each in detector.detect(image)])
        return found


def test_the_whole_frame_is_searched_first_and_every_so_often():
    script = Script([[face(10, 20)]] * 8, search_every=3)
    assert script.run([DAY] * 8) == [[10]] * 8
    assert script.searched == [0, 3, 6]
    script = Script([[face(10, 20)]] * 4, search_every=1)
    script.run([DAY] * 4)
    assert script.searched == [0, 1, 2, 3]


def test_a_lost_face_is_searched_for_at_once_and_as_long_as_nobody_is_there():
    here, elsewhere = face(10, 20), face(70, 20)
    script = Script([[here], [elsewhere], [], [], [here], [here]])
    assert script.run([DAY] * 6) == [[10], [70], [], [], [10], [10]]
    assert script.searched == [0, 1, 2, 3, 4]


def test_who_enters_is_seen_at_the_next_search_and_who_leaves_is_gone():
    small, large = face(10, 20), face(50, 40)
    script = Script([[small], [small, large], [small, large], [small, large], [large]])
    script.spec = dataclasses.replace(script.spec, search_every=3)
    # Largest first.
    assert script.run([DAY] * 5) == [[10], [10], [10], [50, 10], [50]]
    assert script.searched == [0, 3, 4]


def test_a_search_forgets_nobody_who_is_still_there():
    shown, hidden = face(10, 20), face(50, 40)
    frames = [[face(50, 40)], [hidden, shown], [hidden]]
    script = Script(frames, (hidden,), search_every=1)
    assert script.run([DAY] * 3) == [[50], [50, 10], [50]]


@pytest.mark.parametrize("other", [NIGHT, np.full((60, 120, 3), 200, np.uint8)])
def test_after_a_cut_everything_is_searched_and_forgotten(other):
    # Somebody else happens to be where the first person was: no face is lost.
    one, two = face(10, 20), face(70, 30)
    script = Script([[one], [one], [one, two], [one, two]])
    assert script.run([DAY, DAY, other, other]) == [[10], [10], [70, 10], [70, 10]]
    assert script.searched == [0, 2]


def test_one_face_found_twice_counts_once():
    script = Script([[face(10, 20), face(12, 20)], [face(11, 20)]])
    assert script.run([DAY] * 2) == [[10], [11]]


def assert_same_faces(frames: list[np.ndarray], spec: CropSpec) -> None:
    everywhere = FaceDetector(spec)
    detector = VideoFaceDetector(everywhere)
    for frame in frames:
        (expected,), (found,) = everywhere.detect(frame), detector.detect(frame)
        assert track.iou(found.box, expected.box) > 0.5
        eyes = np.linalg.norm(expected.landmarks[0] - expected.landmarks[2])
        apart = np.linalg.norm(found.landmarks - expected.landmarks, axis=1).mean()
        assert apart < 0.1 * eyes


def test_drawn_faces_are_those_that_a_search_of_every_frame_finds():
    frames = synthetic.film(synthetic.Settings(frames=8), 3, 0).frames
    assert_same_faces(frames, CropSpec(detection_border=0.0))


def photograph(number: int = 0) -> np.ndarray:
    return media_image.read_image(sorted(DATA.glob("studio/*/*.jpg"))[number])


def pan(picture: np.ndarray) -> list[np.ndarray]:
    """A camera that moves and comes nearer: 12 % of a face from frame to frame."""
    height, width = picture.shape[:2]
    frames = []
    for step in range(8):
        matrix = np.array([[1 + step / 20, 0, 10 * step - 60.0], [0, 1 + step / 20, -4.0 * step]])
        frames.append(
            cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        )
    return frames


@needs_photographs
@pytest.mark.parametrize("working_size", [1280, 300])  # as large as it is, and shrunk
def test_a_moving_face_is_followed(working_size):
    assert_same_faces(pan(photograph()), CropSpec(working_size=working_size))


@needs_photographs
def test_a_moving_face_is_searched_for_once(monkeypatch):
    searched, find = [], FaceDetector.detect

    def counted(self, image):
        searched.append(image)
        return find(self, image)

    monkeypatch.setattr(FaceDetector, "detect", counted)
    detector = VideoFaceDetector(FaceDetector(CropSpec()))
    assert [len(detector.detect(frame)) for frame in pan(photograph())] == [1] * 8
    assert len(searched) == 1


@needs_photographs
def test_a_box_does_not_depend_on_where_it_was_looked_for():
    detector, picture = FaceDetector(CropSpec()), photograph()
    (face,) = detector.detect(picture)
    side = face.box[2] - face.box[0]
    boxes = [
        detector.detect_near(picture, face.box + side * shift).box
        for shift in (-0.3, -0.1, 0.0, 0.05, 0.3)
    ]
    for box in boxes:  # a cell of the detector's grid is a tenth of the face
        np.testing.assert_allclose(box, boxes[0], atol=0.02 * side)


@needs_photographs
def test_of_two_people_each_is_found_where_it_was():
    left, right = photograph(0), photograph(1)
    height = min(len(left), len(right))
    picture = np.concatenate([left[:height], right[:height]], axis=1)
    detector = FaceDetector(CropSpec(faces="all"))
    faces = detector.detect(picture)
    assert len(faces) == 2
    for face in faces:
        assert track.iou(detector.detect_near(picture, face.box).box, face.box) > 0.5
    nowhere = np.array([0, 0, 80, 80], np.float32)
    assert detector.detect_near(picture, nowhere) is None
