import collections
import csv
import dataclasses
import os
import pathlib

import numpy as np
import pytest

from dfjax import recognition
from dfjax.faces import detect, track
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face
from dfjax.media import image

# Two corners of the eye on the right, two of the one on the left, nose base; on a box of side 1.
POINTS = np.float32([(0.85, 0.3), (0.65, 0.3), (0.15, 0.3), (0.35, 0.3), (0.5, 0.6)])


def make_face(x, y, side=100.0):
    box = np.float32([x, y, x + side, y + side])
    return Face(box, POINTS * side + np.float32([x, y]), 1.0)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 2, 2), 1.0),
        ((1, 0, 3, 2), 2 / 6),
        ((0.5, 0.5, 1.5, 1.5), 1 / 4),
        ((2, 0, 4, 2), 0.0),
        ((5, 5, 6, 6), 0.0),
    ],
)
def test_iou(other, expected):
    assert track.iou(np.float32([0, 0, 2, 2]), np.float32(other)) == pytest.approx(expected)


def test_people_who_pass_each_other_keep_their_numbers():
    tracker = track.Tracker()
    for step in range(40):
        # One walks to the right; the other, smaller and lower, to the left.
        faces = [make_face(10 * step, 0), make_face(400 - 10 * step, 70, side=60.0)]
        assert tracker.update(step, faces) == [0, 1]


def test_order_of_detections_does_not_matter():
    tracker = track.Tracker()
    a, b, c = make_face(0, 0), make_face(300, 0), make_face(0, 300)
    assert tracker.update(0, [a, b, c]) == [0, 1, 2]
    assert tracker.update(1, [c, a, b]) == [2, 0, 1]


def test_a_face_comes_back_after_a_short_absence_and_is_new_after_a_long_one():
    tracker = track.Tracker(max_gap=3)
    assert tracker.update(0, [make_face(0, 0)]) == [0]
    assert tracker.update(1, []) == []
    assert tracker.update(3, [make_face(5, 0)]) == [0]
    assert tracker.update(7, [make_face(5, 0)]) == [1]


def test_another_face_elsewhere_is_another_track():
    tracker = track.Tracker()
    tracker.update(0, [make_face(0, 0)])
    assert tracker.update(1, [make_face(150, 0), make_face(0, 0)]) == [1, 0]


def test_a_face_that_moves_by_most_of_its_box_in_one_step_is_lost():
    tracker = track.Tracker()
    tracker.update(0, [make_face(0, 0)])
    assert tracker.update(1, [make_face(30, 0)]) == [0]
    assert tracker.update(2, [make_face(110, 0)]) == [1]


def test_somebody_who_comes_back_elsewhere_is_known_by_the_embedding():
    people = {"anna": np.array([0.0, 0.0]), "ben": np.array([1.0, 0.0])}
    faces = {"anna": make_face(0, 0), "ben": make_face(300, 0)}

    def embed(face):
        return people["anna" if face.confidence == 1.0 else "ben"] + 0.1

    faces["ben"] = dataclasses.replace(faces["ben"], confidence=2.0)
    tracker = track.Tracker(max_gap=2)
    assert tracker.update(0, [faces["anna"], faces["ben"]], embed) == [0, 1]
    # A cut: both are elsewhere, and each is where the other was.
    assert tracker.update(9, [faces["ben"], faces["anna"]], embed) == [1, 0]
    moved = dataclasses.replace(make_face(600, 300), confidence=2.0)
    assert tracker.update(10, [moved], embed) == [1]
    # Nobody is twice in a frame, however alike.
    assert tracker.update(20, [moved, faces["ben"]], embed) == [1, 2]


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real faces")
def test_embeddings_of_real_people_follow_them():
    folder = pathlib.Path(os.environ["DFJAX_TEST_DATA"], "studio")
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_person = collections.defaultdict(list)
    for row in rows:
        by_person[row["identity"]].append(folder / row["path"])
    pairs = [paths[:2] for paths in by_person.values() if len(paths) > 1][:12]
    detector, embedder = detect.FaceDetector(CropSpec()), recognition.FaceEmbedder()

    def embed(path):
        picture = image.read_image(path)
        return embedder.embed(detect.face_chip(picture, detector.detect(picture)[0])[None])[0]

    vectors = np.array([[embed(path) for path in pair] for pair in pairs])
    same = np.linalg.norm(vectors[:, 0] - vectors[:, 1], axis=1)
    apart = np.linalg.norm(vectors[:, None, 0] - vectors[None, :, 1], axis=-1)
    assert (same < detect.SAME_PERSON).mean() > 0.9
    assert (apart.argmin(1) == np.arange(len(pairs))).mean() > 0.9
