"""A live source is judged by faces that are followed, as near to a full search as can be."""

import numpy as np
import pytest

from dfjax.faces import track
from dfjax.inference import live
from dfjax.media import stream
from tests.inference.detectors import AS_IS, make_detector


@pytest.fixture(scope="module")
def detector():
    return make_detector()


@pytest.fixture(scope="module")
def reference(detector, clip):
    """The result of a full search in every frame."""
    return detector.video(clip, num_frames=24)


@pytest.fixture(scope="module")
def results(detector, clip):
    """The live results of every frame, searched in every sixth."""
    live_detector = live.LiveDetector(detector, detect_every=6)
    with stream.LiveSource(str(clip), keep_all=True) as source:
        return list(live_detector.run(source))


def test_every_frame_shows_the_one_person(results):
    assert [result.frame.number for result in results] == list(range(24))
    assert [result.passed_over for result in results] == [0] * 24
    assert [[face.track for face in result.faces] for result in results] == [[0]] * 24
    assert all(sum(r.seconds.values()) == pytest.approx(r.latency, abs=5e-3) for r in results)


def test_followed_faces_are_where_a_full_search_finds_them(results, reference):
    """Measured at worst: overlap 0.62, corners of the crop 2.3 of 64 pixels off, score 0.006."""
    corners = np.array([[0, 0, 1], [63, 0, 1], [0, 63, 1], [63, 63, 1]])
    for result, face in zip(results, reference.faces, strict=True):
        (followed,) = result.faces
        # HOG's boxes grow in steps of 1.2: one step is an overlap of 0.69, with the same center.
        assert track.iou(followed.crop.box, face.crop.box) > 0.6
        to_frame = np.linalg.inv(np.vstack([face.crop.matrix, [0, 0, 1]]))
        moved = corners @ to_frame.T @ followed.crop.matrix.T
        assert np.linalg.norm(moved - corners[:, :2], axis=1).max() < 3
        assert abs(followed.score - face.score) < 0.02


def test_a_verdict_waits_for_enough_scores_and_is_that_of_the_file(results, reference):
    # Five scores of neighboring frames count as one of the three faces that a verdict needs.
    labels = [result.tracks[0].label for result in results]
    assert labels == [None] * 14 + [reference.verdict.label] * 10
    scores = [face.score for result in results for face in result.faces]
    assert results[-1].tracks[0].score == pytest.approx(np.mean(scores))


def test_a_face_that_left_is_not_scored_until_the_next_search(take):
    live_detector = live.LiveDetector(make_detector(), detect_every=6)
    empty = np.full_like(take.frames[0], 90)
    frames = [take.frames[0], take.frames[1], empty, empty, empty]
    results = [
        live_detector.look(stream.LiveFrame(number, 0.0, image))
        for number, image in enumerate(frames)
    ]
    assert [len(result.faces) for result in results] == [1, 1, 0, 0, 0]


def test_a_model_without_a_face_detector_is_refused():
    with pytest.raises(ValueError, match="--align"):
        live.LiveDetector(make_detector(AS_IS))
