"""A report says what was found, in figures for programs and in words for people."""

import copy
import html.parser
import json

import jsonschema
import numpy as np
import pytest

from dfjax import model_card, verdict
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import detector, report, scorer
from dfjax.inference.detector import Detector, Result
from dfjax.inference.extract import MediaFacts
from dfjax.media import image, video
from dfjax.media.errors import MediaError
from dfjax.verdict import FaceScore
from tests import cards

SPEC = CropSpec(crops="as-is", detector="none", landmarks=0, size=32)
EVIL = "<script>window.hacked=1</script>'\"><img src=x onerror=alert(1)>&\u202egnp.exe"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(report.SCHEMA_FILE.read_text()))


def make_detector(*, heat=True, synthetic=True):
    """Undecided from 0.4 to 0.6; the heat lies in the upper left of every crop."""
    card = model_card.ModelCard(
        model_name="brightness",
        model_arguments={},
        image_size=32,
        crop_spec=SPEC,
        decisions={"frame": cards.make_decision((1, 0.4, 0.6, 0.0))},
        weights="0" * 64,
        step=7,
        synthetic=synthetic,
        protocol={"trained_on": EVIL},
    )
    spot = np.zeros((4, 4), np.float32)
    spot[0, 0] = 1

    def heat_maps(crops):
        return np.tile(spot, (len(crops), 1, 1))

    return Detector(
        scorer.Scorer(card, "flax", lambda c: c[:, 0, 0, 0], heat_maps if heat else None)
    )


def make_face(frame, track, score, quality=None, *, fps=10.0):
    crop = align.resize_crop(np.full((64, 48, 3), 120, np.uint8), SPEC)
    return FaceScore(frame, frame / fps if fps else None, track, score, quality, crop)


def make_result(model, *faces, kind="video", fps=10.0):
    facts = MediaFacts(kind, 48, 64)
    if kind == "video":
        facts = MediaFacts(kind, 48, 64, fps, 40, 40, 4)
    judged = verdict.judge(faces, kind=kind, card=model.scorer.card)
    return Result(judged, faces, facts, warnings=model.warnings, seconds={"decode": 0.12345})


def make_report(model, result, name="a.png"):
    return report.make_report(result, model, report.Source(name, "a" * 64, 3), {"num_frames": 4})


def video_report(**options):
    """Track 0: 0.7, 0.8, 0.9 and a dark face; track 1: twice 0.1, which is too few."""
    model = make_detector(**options)
    faces = [make_face(frame, 0, score) for frame, score in ((0, 0.7), (13, 0.8), (26, 0.9))]
    faces += [make_face(39, 0, 0.2, "too_dark"), make_face(39, 1, 0.1), make_face(39, 1, 0.1)]
    return make_report(model, make_result(model, *faces))


def every_report():
    model = make_detector()
    faces = {
        "real": [make_face(0, 0, 0.1, fps=0)],
        "fake": [make_face(0, 0, 1.0, fps=0)],
        "undecided": [make_face(0, 0, 0.5, fps=0)],
        "no face": [],
        "dark": [make_face(0, 0, 0.9, "too_dark", fps=0)],
    }
    yield from (
        (name, make_report(model, make_result(model, *each, kind="image")))
        for name, each in faces.items()
    )
    yield "video", video_report()
    yield "no heat, real faces", video_report(heat=False, synthetic=False)
    timeless = [make_face(number, 0, 0.7, fps=0) for number in range(3)]
    yield "no rate", make_report(model, make_result(model, *timeless, fps=None))
    yield "broken", make_report(model, detector.failed(MediaError("corrupt", "a.png: broken")))


REPORTS = dict(every_report())


@pytest.mark.parametrize("found", REPORTS.values(), ids=REPORTS)
def test_every_report_follows_the_published_schema(found):
    VALIDATOR.validate(json.loads(json.dumps(found, allow_nan=False)))


def objects(value, path=()):
    """Paths of all objects in a JSON value."""
    if isinstance(value, dict):
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(each, dict | list):
            yield from objects(each, (*path, key))


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
        (("verdict", "reason"), "undecided"),  # beside the label "fake"
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
    found = video_report()
    assert found["verdict"]["score"] == pytest.approx(0.8)
    assert (found["verdict"]["label"], found["verdict"]["reason"]) == ("fake", None)
    first, second = found["tracks"]
    assert (first["label"], first["usable"], first["faces"]) == ("fake", 3, 4)
    assert (first["first_s"], first["last_s"]) == (0.0, 3.9)
    assert (second["label"], second["reason"]) == ("inconclusive", "too_few_frames")
    assert second["score"] == pytest.approx(0.1)
    assert [entry["frame"] for entry in found["timeline"]] == [0, 13, 26, 39]
    assert [entry["time_s"] for entry in found["timeline"]] == [0.0, 1.3, 2.6, 3.9]
    assert len(found["timeline"][3]["faces"]) == 3
    assert found["timeline"][0]["faces"][0]["box"] == [0.0, 0.0, 48.0, 64.0]
    assert [face["score"] for face in found["strongest"]] == [0.9, 0.8, 0.7, 0.1]
    assert found["media"]["duration_s"] == 4.0


def test_a_source_is_known_by_its_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    source = report.Source.of_file(tmp_path / "abc", name="x")
    # FIPS 180-2, appendix B.1.
    assert source.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert source.bytes == 3
    assert report.Source.of_file(tmp_path / "none", name="x") == report.Source("x", None, None)


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.0, "under 1%"), (0.01, "1%"), (0.625, "62%"), (0.99, "99%"), (0.9901, "over 99%")],
)
def test_no_score_is_told_as_certainty(score, words):
    assert report.percent(score) == words


def test_times_carry_over():
    times = [0, 9.96, 59.94, 59.96, 3601]
    assert [report.clock(t) for t in times] == ["0:00.0", "0:10.0", "0:59.9", "1:00.0", "60:01.0"]


def test_a_heat_map_lights_up_its_own_place():
    grey = np.full((40, 40, 3), 100, np.uint8)
    np.testing.assert_array_equal(report.overlay(grey, np.zeros((4, 4), np.float32)), grey)
    spot = np.zeros((4, 4), np.float32)
    spot[3, 0] = 1
    change = np.abs(report.overlay(grey, spot).astype(int) - grey).sum(-1)
    assert change[32:, :8].min() > 30
    assert max(change[:20].max(), change[:, 20:].max()) <= 3  # a ripple of the interpolation


class Page(html.parser.HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", " ".join(data.split())))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(data for tag, data in self.texts if tag != "style")


def with_evil_text(value):
    """The report with hostile text wherever text from outside can stand."""
    value["media"]["name"] = EVIL
    value["warnings"] = [EVIL]
    value["verdict"]["cause"] = EVIL
    value["settings"] = {EVIL: EVIL, "list": [EVIL]}
    return value


@pytest.mark.parametrize("found", REPORTS.values(), ids=REPORTS)
def test_page_runs_nothing_and_loads_nothing(found):
    page = Page(report.render_html(with_evil_text(copy.deepcopy(found))))
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for tag, attributes in page.tags:
        assert [key for key in attributes if key.startswith("on")] == [], tag
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert "href" not in attributes
    assert "url(" not in "".join(data for tag, data in page.texts if tag == "style")
    assert EVIL in page.text
    assert page.all("html") == [{"lang": "en"}]
    assert all(picture["alt"] for picture in page.all("img"))
    assert len(page.all("h1")) == 1
    assert all("scope" in head for head in page.all("th"))


def test_page_tells_the_verdict_and_what_it_means():
    pages = {name: Page(report.render_html(found)) for name, found in REPORTS.items()}
    heads = {name: [d for tag, d in page.texts if tag == "h1"] for name, page in pages.items()}
    assert heads["fake"] == heads["video"] == ["Probably manipulated"]
    assert heads["real"] == ["No sign of manipulation found"]
    assert heads["undecided"] == heads["no face"] == heads["broken"] == ["No verdict"]
    assert "over 99%" in pages["fake"].text
    assert "100% likelihood" not in pages["fake"].text
    assert "not the amount of manipulation" in pages["real"].text
    assert "not a place halfway between the two" in pages["undecided"].text
    assert "No face was found." in pages["no face"].text
    assert "A.png: broken." in pages["broken"].text
    assert "no proof that a spot was altered" in pages["video"].text
    assert "a" * 64 in pages["video"].text


def test_page_warns_of_a_model_of_drawn_faces():
    warned, calm = (
        Page(report.render_html(video_report(synthetic=drawn))).text for drawn in (True, False)
    )
    assert "This model knows drawn faces only" in warned
    assert warned.index("drawn faces only") < warned.index("The model takes at least one face")
    assert "synthetic" not in calm
    assert "drawn faces only" not in calm


def test_page_draws_every_face_where_it_belongs():
    page = Page(report.render_html(video_report(heat=False)))
    marks = [each for each in page.all("svg") if each.get("class", "").startswith("point")]
    places = [(m["x"], m["y"], "unused" in m["class"]) for m in marks if "x" in m]
    # 4 s; 200 pixels from 0 at the bottom to 1.
    assert places == [
        ("0.0%", "60.0", False),
        ("32.5%", "40.0", False),
        ("65.0%", "20.0", False),
        ("97.5%", "160.0", True),
        ("97.5%", "180.0", False),
        ("97.5%", "180.0", False),
    ]
    assert page.all("polyline")[0]["points"].split() == ["0.0,60.0", "32.5,40.0", "65.0,20.0"]
    threshold = next(line for line in page.all("line") if line["class"] == "threshold")
    assert threshold["y1"] == threshold["y2"] == "100.0"
    (band,) = page.all("rect")
    assert (float(band["y"]), float(band["height"])) == (pytest.approx(80), pytest.approx(40))
    widths = [each["style"] for each in page.all("span") if each["class"].startswith("zone")]
    assert widths == ["width: 40.0%", "width: 20.0%", "width: 40.0%"]


def test_page_knows_models_that_decide_by_their_threshold_alone():
    found = video_report()
    found["model"]["decision"] = {"threshold": 0.3, "low": 0.3, "high": 0.3, "error_rate": 0.05}
    page = Page(report.render_html(found))
    zones = [each for each in page.all("span") if each["class"].startswith("zone")]
    assert [(zone["class"], zone["style"]) for zone in zones] == [
        ("zone real", "width: 30.0%"),
        ("zone fake", "width: 70.0%"),
    ]
    assert page.all("rect") == []
    assert "allow no verdict" not in page.text


def test_a_trained_model_reports_on_real_files(run, tmp_path):
    """From bytes to a valid report with heat maps, by a run's own checkpoint."""
    model = Detector.load(run)
    noise = np.random.default_rng(0).integers(0, 255, (6, 40, 40, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(image.encode_image(noise[0], "png"))
    video.write_video(tmp_path / "b.mp4", noise, fps=25, crf=10)
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    for name, kind in (("a.png", "image"), ("b.mp4", "video"), ("c.png", None)):
        path = tmp_path / name
        found = report.make_report(
            model.file(path), model, report.Source.of_file(path, name=name), {}
        )
        VALIDATOR.validate(found)
        assert found["media"]["kind"] == kind
        assert None not in [face["heat_map"] for face in found["strongest"]]
        assert bool(found["strongest"]) == (kind is not None)
        assert Page(report.render_html(found)).all("h1")
