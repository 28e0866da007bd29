"""The page says in words what the report says in figures, runs nothing and loads nothing."""

import copy
import re

import pytest

from dfjax.inference.page import render_html
from dfjax.phrases import clock
from tests.html_page import Page
from tests.inference.reports import EVIL, REPORTS, video_report


def test_times_carry_over():
    times = [0, 9.96, 59.94, 59.96, 3601]
    assert [clock(t) for t in times] == ["0:00.0", "0:10.0", "0:59.9", "1:00.0", "60:01.0"]


def with_evil_text(value):
    """The report with hostile text wherever text from outside can stand."""
    value["media"]["name"] = EVIL
    value["warnings"] = [EVIL]
    value["verdict"]["cause"] = EVIL
    value["settings"] = {EVIL: EVIL, "list": [EVIL]}
    return value


@pytest.mark.parametrize("written", REPORTS.values(), ids=REPORTS)
def test_page_runs_nothing_and_loads_nothing(written):
    page = Page(render_html(with_evil_text(copy.deepcopy(written))))
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for tag, attributes in page.tags:
        assert [key for key in attributes if key.startswith("on")] == [], tag
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "data:").startswith("data:")
        assert ("href" in attributes) == ("download" in attributes)
    assert "url(" not in "".join(data for tag, data in page.texts if tag == "style")
    assert EVIL in page.text
    assert page.all("html") == [{"lang": "en"}]
    assert all(picture["alt"] for picture in page.all("img"))
    assert len(page.all("h1")) == 1
    assert all("scope" in head for head in page.all("th"))


def test_page_tells_the_verdict_and_what_it_means():
    pages = {name: Page(render_html(written)) for name, written in REPORTS.items()}
    heads = {name: [d for tag, d in page.texts if tag == "h1"] for name, page in pages.items()}
    assert heads["fake"] == ["Very strong evidence of manipulation"]
    assert heads["video"] == ["Moderate evidence of manipulation"]
    assert heads["real"] == ["No evidence of manipulation found"]
    assert heads["undecided"] == heads["broken"] == heads["dark"] == ["No verdict"]
    assert heads["no face"] == ["Not applicable"]
    assert all("does not mean that a file is genuine" in page.text for page in pages.values())
    assert "over 99%" in pages["fake"].text
    assert "100% likelihood" not in pages["fake"].text
    assert "not the amount of manipulation" in pages["real"].text
    assert "not a place halfway between the two" in pages["undecided"].text
    assert "No face was found." in pages["no face"].text
    assert "A.png: broken." in pages["broken"].text
    assert "does not prove that a spot was altered" in pages["video"].text
    assert "a" * 64 in pages["video"].text


def test_page_warns_of_a_model_of_drawn_faces():
    warned, calm = (
        Page(render_html(video_report(synthetic=drawn))).text for drawn in (True, False)
    )
    assert "This model knows drawn faces only" in warned
    assert warned.index("drawn faces only") < warned.index("The model takes at least one face")
    assert "synthetic" not in calm
    assert "drawn faces only" not in calm


def test_page_draws_every_face_where_it_belongs():
    page = Page(render_html(video_report(heat=False)))
    marks = [svg for svg in page.all("svg") if svg.get("class", "").startswith("point")]
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
    (band,) = (area for area in page.all("rect") if area["class"] == "band")
    assert (float(band["y"]), float(band["height"])) == (pytest.approx(80), pytest.approx(40))
    widths = [span["style"] for span in page.all("span") if span["class"].startswith("zone")]
    assert widths[:2] == ["width: 40.0%", "width: 20.0%"]
    # Of the other 40 %, what is fake by the rate of the band, and by one in 100 and in 1,000.
    assert len(widths) == 5
    assert sum(float(width[7:-1]) for width in widths[2:]) == pytest.approx(40, abs=0.02)


def test_page_tells_persons_apart_by_color_and_shape():
    written = video_report()
    face = written["timeline"][0]["faces"][0]
    written["timeline"][0]["faces"] = [{**face, "track": track} for track in range(25)]
    written["timeline"] = written["timeline"][:1]
    html = render_html(written)
    legend = re.findall(r'<li class="(t\d)"><svg[^>]*>\s*(<[^>]*>)', html)
    assert len(set(legend)) == len(legend) == 25


def test_page_knows_models_that_decide_by_their_threshold_alone():
    written = video_report()
    limits = dict.fromkeys(("threshold", "low", "high", "strong"), 0.3)
    written["model"]["decision"] = {**limits, "very_strong": 1.0, "error_rate": 0.05}
    written["moments"] = []
    page = Page(render_html(written))
    zones = [span for span in page.all("span") if span["class"].startswith("zone")]
    assert [(zone["class"], zone["style"]) for zone in zones] == [
        ("zone none_found", "width: 30.0%"),
        ("zone strong", "width: 70.0%"),
    ]
    assert page.all("rect") == []
    assert "allow no verdict" not in page.text


def test_page_from_a_source_tree_has_no_version():
    written = video_report()
    written["versions"]["dfjax"] = "1.2"
    assert "Report of dfjax 1.2 on" in Page(render_html(written)).text
    written["versions"]["dfjax"] = "not installed"
    assert "Report of dfjax on" in Page(render_html(written)).text
