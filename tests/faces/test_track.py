import numpy as np
import pytest

from dfjax.faces import track
from dfjax.faces.detect import Face

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
