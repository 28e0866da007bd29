"""A report says in figures what the detector did, and nothing that its schema does not know."""

import copy
import importlib.metadata
import json
import platform

import jsonschema
import numpy as np
import pytest

from dfjax.inference import page, report
from dfjax.inference.detector import Detector
from dfjax.media import image, video
from tests.inference.reports import REPORTS, video_report

VALIDATOR = jsonschema.Draft202012Validator(json.loads(report.SCHEMA_FILE.read_text()))


@pytest.mark.parametrize("written", REPORTS.values(), ids=REPORTS)
def test_every_report_follows_the_published_schema(written):
    VALIDATOR.validate(json.loads(json.dumps(written, allow_nan=False)))


def objects(value, path=()):
    """Paths of all objects in a JSON value."""
    if isinstance(value, dict):
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from objects(item, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def test_the_schema_forbids_what_a_report_never_has():
    open_maps = {("settings",), ("versions",), ("seconds",), ("model", "crop_spec")}
    open_maps.add(("model", "protocol"))
    whole = video_report()
    closed = [path for path in objects(whole) if path not in open_maps]
    assert {("media", "frames"), ("timeline", 0, "faces", 0), ("model", "decision")} < set(closed)
    for path in closed:
        more = copy.deepcopy(whole)
        at(more, path)["surprise"] = 1
        assert not VALIDATOR.is_valid(more), path
        for key in at(whole, path):
            less = copy.deepcopy(whole)
            del at(less, path)[key]
            assert not VALIDATOR.is_valid(less), (path, key)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict", "label"), "suspicious"),
        (("verdict", "reason"), "undecided"),  # next to the label "fake"
        (("verdict", "score"), 1.5),
        (("tracks", 0, "reason"), "tired"),
        (("timeline", 0, "faces", 0, "quality"), "no_face"),
        (("timeline", 0, "faces", 0, "box"), [1, 2, 3]),
        (("media", "kind"), "audio"),
        (("created",), "yesterday"),
        (("media", "sha256"), "A" * 64),
        (("strongest", 0, "crop"), "https://example.org/face.jpg"),
        (("error",), {"code": "bored", "message": ""}),
    ],
)
def test_the_schema_knows_its_enumerations(path, value):
    wrong = video_report()
    at(wrong, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(wrong)


def test_figures_are_those_of_the_faces():
    written = video_report()
    assert written["verdict"]["score"] == pytest.approx(0.8)
    assert (written["verdict"]["label"], written["verdict"]["reason"]) == ("fake", None)
    first, second = written["tracks"]
    assert (first["label"], first["usable"], first["faces"]) == ("fake", 3, 4)
    assert (first["first_s"], first["last_s"]) == (0.0, 3.9)
    assert (second["label"], second["reason"]) == ("inconclusive", "too_few_frames")
    assert second["score"] == pytest.approx(0.1)
    assert [entry["frame"] for entry in written["timeline"]] == [0, 13, 26, 39]
    assert [entry["time_s"] for entry in written["timeline"]] == [0.0, 1.3, 2.6, 3.9]
    assert len(written["timeline"][3]["faces"]) == 3
    assert written["timeline"][0]["faces"][0]["box"] == [0.0, 0.0, 48.0, 64.0]
    assert [face["score"] for face in written["strongest"]] == [0.9, 0.8, 0.7, 0.1]
    assert written["media"]["duration_s"] == 4.0


def test_a_source_is_known_by_its_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    source = report.Source.of_file(tmp_path / "abc", name="x")
    # FIPS 180-2, appendix B.1.
    assert source.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert source.bytes == 3
    assert report.Source.of_file(tmp_path / "none", name="x") == report.Source("x", None, None)


def test_a_report_from_a_source_tree_says_what_is_not_installed(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    written = video_report()
    VALIDATOR.validate(written)
    assert written["versions"].pop("python") == platform.python_version()
    assert {"dfjax", "jax", "dlib-bin"} < set(written["versions"])
    assert set(written["versions"].values()) == {"not installed"}


def test_a_report_with_a_number_that_json_lacks_is_not_written(tmp_path):
    written = {**video_report(), "seconds": {"decode": float("nan")}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        report.write_json(written, tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_trained_model_reports_on_real_files(run, tmp_path):
    """From bytes to a valid report with heat maps, by a run's own checkpoint."""
    detector = Detector.load(run)
    noise = np.random.default_rng(0).integers(0, 255, (6, 40, 40, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(image.encode_image(noise[0], "png"))
    video.write_video(tmp_path / "b.mp4", noise, fps=25, crf=10)
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    for name, kind in (("a.png", "image"), ("b.mp4", "video"), ("c.png", None)):
        path = tmp_path / name
        source = report.Source.of_file(path, name=name)
        written = report.make_report(detector.file(path), detector, source, {})
        VALIDATOR.validate(written)
        assert written["media"]["kind"] == kind
        assert None not in [face["heat_map"] for face in written["strongest"]]
        assert bool(written["strongest"]) == (kind is not None)
        assert "<h1>" in page.render_html(written)
