"""Films of which a test knows where they are forged: by brightness, which its detector goes by."""

import json

import jsonschema
import numpy as np
import pytest

from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.inference import page, report
from dfjax.media import video
from tests import cards
from tests.html_page import Page
from tests.inference.detectors import make_detector

FPS = 25
SHOT = 20  # frames
DARK, BRIGHT = 60.0, 190.0  # mean of a frame: for the detector, real and fake


def film(person: int, num_frames: int, level: float = DARK) -> np.ndarray:
    """Frames of a drawn person, brought to a brightness; [N, H, W, 3]."""
    frames = np.stack(synthetic.film(synthetic.Settings(frames=num_frames), person, 0).frames)
    values = frames.astype(np.float32) / 2  # with less contrast, every part of a frame is like it
    return (values + level - values.mean()).clip(0, 255).astype(np.uint8)


def written(tmp_path, frames: np.ndarray) -> dict:
    """The report on these frames."""
    path = tmp_path / "a.mp4"
    video.write_video(path, [*frames], fps=FPS, crf=12)
    decision = cards.make_decision((1, 0.5, 0.7, 0.5))
    detector = make_detector(decisions={"frame": decision})
    source = report.Source.of_file(path, name="a.mp4")
    found = report.make_report(detector.video(path), detector, source, {})
    schema = json.loads(report.SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(found)))
    return found


def test_one_shot_of_five(tmp_path):
    levels = [DARK, DARK + 20, BRIGHT, DARK, DARK + 20]
    found = written(
        tmp_path, np.concatenate([film(i, SHOT, level) for i, level in enumerate(levels)])
    )
    assert [(shot["start_s"], shot["end_s"]) for shot in found["shots"]] == [
        (pytest.approx(i * SHOT / FPS), pytest.approx((i + 1) * SHOT / FPS)) for i in range(5)
    ]
    assert [shot["label"] for shot in found["shots"]] == ["real", "real", "fake", "real", "real"]
    assert all(shot["analysed"] >= 4 for shot in found["shots"])
    assert found["verdict"]["label"] == "fake"
    (moment,) = found["moments"]
    assert moment["shots"] == [2]
    assert moment["track"] in found["shots"][2]["tracks"]
    assert moment["first_s"] == pytest.approx(2 * SHOT / FPS)
    assert moment["last_s"] == pytest.approx((3 * SHOT - 1) / FPS)
    assert f"Person {moment['track'] + 1}, shot 3, 0:01.6 to 0:02.4" in found["summary"]
    shown = Page(page.render_html(found))
    assert f"Person {moment['track'] + 1}, shot 3, 0:01.6 to 0:02.4" in shown.text
    assert len([line for line in shown.all("line") if line["class"] == "cut"]) == 4


def test_one_of_two_people(tmp_path):
    both = np.concatenate([film(0, SHOT), film(1, SHOT, BRIGHT)], axis=2)
    found = written(tmp_path, both)
    assert found["verdict"]["label"] == "fake"
    labels = {track["track"]: track["label"] for track in found["tracks"]}
    middle = both.shape[2] / 2
    for entry in found["timeline"]:
        for face in entry["faces"]:
            expected = "fake" if face["box"][0] > middle else "real"
            assert labels[face["track"]] == expected
    assert sorted(labels.values()) == ["fake", "real"]


def test_the_last_second_only(tmp_path):
    frames = film(0, 5 * FPS)
    frames[-FPS:] = film(0, 5 * FPS, BRIGHT)[-FPS:]
    # A change of light at once would be a cut: here it takes half a second.
    steps = np.linspace(0, BRIGHT - DARK, 12)[:, None, None, None]
    frames[-FPS - 12 : -FPS] = (frames[-FPS - 12 : -FPS] + steps).clip(0, 255).astype(np.uint8)
    found = written(tmp_path, frames)
    assert len(found["shots"]) == 1
    assert (found["verdict"]["label"], found["verdict"]["reason"]) == ("inconclusive", "moment")
    (moment,) = found["moments"]
    assert moment["first_s"] == pytest.approx(4.0, abs=0.4)
    assert moment["last_s"] == pytest.approx(5 - 1 / FPS)
