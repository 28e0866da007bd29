"""The page says what report.json says, runs nothing, loads nothing, and knows every exception."""

import re

import pytest

from dfjax import console
from dfjax.report import figures
from dfjax.report.page import render_html
from tests.html_page import Page
from tests.report import reports

DATASETS = {
    "whole": reports.make_dataset,
    "one class": reports.one_class,
    "nulls": reports.without_anything,
    "hostile": reports.hostile,
}


def read(*datasets, robustness=None):
    return Page(render_html(reports.make_report(list(datasets)), robustness))


@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS)
def test_page_runs_nothing_loads_nothing_and_is_accessible(make):
    page = read(make(), robustness=reports.make_robustness())
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    for tag, attributes in page.tags:
        assert [key for key in attributes if key.startswith("on")] == [], tag
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    assert "url(" not in "".join(data for tag, data in page.texts if tag == "style")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all("scope" in head for head in page.all("th"))
    assert all(table["aria-label"] for table in page.all("table"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    parts = {link["href"][1:] for link in page.all("a")}
    assert parts == {section["id"] for section in page.all("section")}
    assert not re.search(r"\bNone\b|\bnan\b|\{\}", page.text)


def test_hostile_names_are_shown_as_they_are():
    dataset = reports.hostile()
    page = read(dataset)
    shown = console.visible(" ".join(reports.EVIL.split()))
    assert page.text.count(shown) > 10
    assert not {"\u202e", "\x1b"} & set(page.text)  # they would reverse what follows, or recolour
    assert page.all("script") == []


def test_page_says_what_is_synthetic_and_what_is_not_known():
    drawn = read(reports.make_dataset()).text
    assert "drawn by a program; its numbers say nothing about real forgeries" in drawn
    assert "data/synthetic:test (synthetic)" in drawn
    assert "shares 3 identities, 12 videos with training" in drawn
    foreign = read({**reports.one_class(), "synthetic": False}).text
    assert "drawn by a program" not in foreign
    assert "there are no fakes: nothing can be compared" in foreign
    assert "the scores came without a model card" in foreign
    assert "the training data were not at hand" in foreign
    assert "There is none: the data were not at hand." in foreign


def test_protocol_is_spelled_out_once_for_all_datasets():
    text = read(reports.make_dataset("a:test"), reports.make_dataset("b:test")).text
    for sentence in (
        "The model is the checkpoint of step 12000, the best by val/video_auc.",
        "Everything that decides was fitted on data/synthetic:val, then frozen.",
        "The score of a video is the mean probability of its frames.",
        "The threshold of the video level is 0.4321; it comes from: model card.",
        "Intervals of the video level hold 95% of 2,000 bootstrap draws of clips.",
        "12 of 320 clips (3.8%) show no face",
    ):
        assert text.count(sentence) == 1
    other = reports.make_dataset("b:test")
    other["levels"]["video"]["interval"]["resampled"] = "identities"
    text = read(reports.make_dataset("a:test"), other).text
    assert text.count("draws of identities") == 1
    assert text.index("All metrics on a:test") < text.index("draws of identities")


def test_small_groups_are_greyed_out():
    rows = [row.get("class") for row in read(reports.make_dataset()).all("tr")]
    assert rows.count("quiet") == 2  # one of a single clip, and clips without a label


def test_worst_errors_are_pictures_or_a_table():
    dataset = reports.make_dataset()
    assert "Worst errors on" in read(dataset).text
    dataset["worst"][0]["picture"] = "data:image/jpeg;base64,AAAA"
    page = read(dataset)
    (picture,) = page.all("img")
    assert picture["alt"].startswith("Face 0 in frame")
    assert "real , score 0.990" in page.text


def test_figures_lie_where_the_numbers_are():
    dataset = reports.make_dataset()
    curve = dataset["levels"]["video"]["curves"]["roc"]
    curve |= {"x": [0, 0.5, 1], "y": [0, 0.75, 1], "low": [0, 0.5, 1], "high": [0, 1, 1]}
    roc = figures.of_dataset(dataset)[0]
    chance, _, line = roc.lines
    # 52 to 308 from left to right, 196 to 10 from the bottom to the top.
    assert chance.points == "52.0,196.0 308.0,10.0"
    assert line.points == "52.0,196.0 180.0,56.5 308.0,10.0"
    assert line.band == ("52.0,196.0 180.0,10.0 308.0,10.0 308.0,10.0 180.0,103.0 52.0,196.0")
    assert roc.alt == f"ROC curve: frame AUC {_auc(dataset, 'frame')}, video AUC {_auc(dataset)}."


def _auc(dataset, level="video"):
    return f"{dataset['levels'][level]['metrics']['auc']['value']:.3f}"


def test_robustness_is_drawn_on_one_scale():
    measured = reports.make_robustness()
    measured["types"][0]["levels"][4]["auc"] = {"value": 0.44, "low": 0.41, "high": 0.5}
    measured["types"][1]["levels"][2]["auc"] = {"value": None, "low": None, "high": None}
    drawn = figures.of_robustness(measured)
    assert {figure.y.ticks[0] for figure in drawn} == {0.4}
    assert [len(figure.lines[0].dots) for figure in drawn] == [6, 5, 6, 6, 6, 6, 6, 6]
    assert drawn[0].lines[0].dots[5] == (308.0, pytest.approx(196 - 186 * 0.04 / 0.6, abs=0.06))
    text = read(reports.make_dataset(), robustness=measured).text
    assert "saturation: mean 0.830, worst 0.770" in text
    assert "Stored crops of faces were distorted" in text
