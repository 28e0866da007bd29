"""Live results are printed as JSON and drawn until the window is closed."""

import contextlib
import json

import numpy as np
import pytest

from dfjax.commands import watch, window
from dfjax.inference import annotate, live
from dfjax.media import stream
from dfjax.media.errors import MediaError
from tests.inference.detectors import make_detector


class Screen:
    """A window that is closed after a number of pictures."""

    def __init__(self, num_pictures):
        self.pictures, self._num_pictures = [], num_pictures

    def show(self, image):
        self.pictures.append(image)
        return len(self.pictures) < self._num_pictures


@pytest.fixture(scope="module")
def results(take):
    """Results of frames that all show one person, and then nobody."""
    live_detector = live.LiveDetector(make_detector(), detect_every=6)
    frames = [*take.frames[:16], np.full_like(take.frames[0], 90)]
    return [
        live_detector.look(stream.LiveFrame(i, 0.0, image), passed_over=i % 3)
        for i, image in enumerate(frames)
    ]


def test_an_event_has_the_figures_of_the_result(results):
    for result in results:
        event = json.loads(json.dumps(watch.event(result), allow_nan=False))
        assert event["frame"] == result.frame.number
        assert event["passed_over"] == result.passed_over
        assert event["latency_ms"] == pytest.approx(1000 * result.latency, abs=0.05)
        assert [face["score"] for face in event["faces"]] == [face.score for face in result.faces]
    assert watch.event(results[-1])["faces"] == []
    early, late = watch.event(results[0])["faces"][0], watch.event(results[15])["faces"][0]
    assert (early["verdict"], early["mean_score"]) == (None, None)
    scores = [result.faces[0].score for result in results[:16]]
    assert late["mean_score"] == pytest.approx(np.mean(scores))
    assert late["verdict"] == ("fake" if np.mean(scores) >= 0.5 else "real")


def test_a_face_is_drawn_in_the_color_of_its_label(results):
    for number, label in ((0, "inconclusive"), (15, results[15].tracks[0].label)):
        drawn = watch.draw(results[number])
        x, top, _, bottom = np.rint(results[number].faces[0].crop.box).astype(int)
        edge = drawn[(top + bottom) // 2, x]
        np.testing.assert_array_equal(edge, annotate.COLORS[label])
    np.testing.assert_array_equal(watch.draw(results[-1]), results[-1].frame.image)


@pytest.mark.parametrize(("num_pictures", "lines"), [(3, 3), (100, None)])
def test_watching_ends_with_the_window_or_with_the_source(
    clip, monkeypatch, capsys, num_pictures, lines
):
    screen = Screen(num_pictures)
    monkeypatch.setattr(window, "open_window", lambda title: contextlib.nullcontext(screen))
    watch.watch(str(clip), make_detector(), detect_every=6)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(events) == len(screen.pictures)
    if lines is None:
        assert events[-1]["frame"] == 23
    else:
        assert len(events) == lines


def test_the_title_of_the_window_and_the_error_hide_the_password(monkeypatch, capsys):
    titles = []
    monkeypatch.setattr(
        window, "open_window", lambda title: contextlib.nullcontext(titles.append(title))
    )
    with pytest.raises(MediaError, match=r"^rtsp://\*\*\*@127\.0\.0\.1:1/live does not open"):
        watch.watch("rtsp://user:secret@127.0.0.1:1/live", make_detector())
    assert titles == ["rtsp://***@127.0.0.1:1/live"]
    assert capsys.readouterr().out == ""
