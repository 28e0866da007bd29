"""All that people read of a verdict is in the catalogue: a translation of it leaves nothing out."""

import string

import pytest

from dfjax import model_card, phrases, verdict, words
from dfjax.evidence import content_credentials
from dfjax.inference import report as reports
from dfjax.inference.page import render_html
from dfjax.serve import web_page
from tests import translation
from tests.html_page import Page
from tests.inference.reports import EVIDENCE, make_detector, make_face, make_result, video_report

SAID = ("alt", "aria-label", "aria-valuetext", "placeholder", "title")
CATALOGUE = {name: value for name, value in vars(words).items() if name[0].isupper()}
NAMES = {"dfjax"}  # not translated


def said(html: str) -> list[str]:
    """All that a page says to those who see it and to those who hear it."""
    page = Page(html)
    return [page.text, *(each[key] for _, each in page.tags for key in SAID if key in each)]


def test_words_have_the_keys_of_what_they_stand_for():
    assert tuple(words.LEVELS) == tuple(words.SHORT_LEVELS) == verdict.LEVELS
    assert tuple(words.LABELS) == model_card.VERDICTS
    assert tuple(words.FORGERIES) == model_card.FORGERIES
    assert tuple(words.CREDENTIALS) == content_credentials.STATES
    assert tuple(words.AI_SOURCES) == content_credentials.AI_SOURCES
    assert words.FLAWS.keys() <= words.REASONS.keys()
    stated = reports.explain_evidence(EVIDENCE)["stated"]
    assert words.STATED.keys() | {"has_position"} == stated.keys()


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_template_finds_every_text_by_its_key(name):
    if isinstance(CATALOGUE[name], dict):
        assert [key for key in CATALOGUE[name] if hasattr({}, key)] == []  # `.copy` is a method


def test_the_page_says_nothing_of_its_own(monkeypatch):
    translation.install(monkeypatch)
    assert translation.words_of(said(web_page.render_index())) == set()


@pytest.mark.parametrize("name", ["video", "picture", "no evidence"])
def test_the_report_says_nothing_of_its_own(monkeypatch, name):
    translation.install(monkeypatch)
    model = make_detector(synthetic=False)
    faces = [make_face(0, 0, 0.5, fps=0), make_face(0, 1, 0.9, "too_dark", fps=0)]
    evidence = None if name == "no evidence" else EVIDENCE
    picture = make_result(model, *faces, kind="image", evidence=evidence)
    source = reports.Source("1.png", "1", 3)
    report = video_report() if name == "video" else reports.make_report(picture, model, source, {})
    model = report["model"]
    keys = [model["protocol"], model["crop_spec"], report["settings"], report["versions"]]
    named = {key for values in (*keys, report["seconds"]) for key in values}
    from_outside = translation.words_of([report, named]) | NAMES | {"true", "false"}
    assert translation.words_of(said(render_html(report))) <= from_outside


@pytest.mark.parametrize("value", CATALOGUE.values(), ids=CATALOGUE)
def test_braces_can_be_filled(value):
    texts = value.values() if isinstance(value, dict) else [value]
    for text in texts:
        for each in [text] if isinstance(text, str) else text:
            names = [name for _, name, _, _ in string.Formatter().parse(each) if name is not None]
            assert all(name.isidentifier() for name in names), each


def test_a_place_is_told_as_people_count():
    moment = {"track": 0, "shots": [1], "first_s": 9.0, "last_s": 10.0, "score": 0.97}
    assert phrases.moment(moment) == "Person 1, shot 2, 0:09.0 to 0:10.0: likelihood 97%."
    timeless = {"track": 2, "shots": [0, 2], "first_s": None, "last_s": None, "score": 1.0}
    assert phrases.moment(timeless) == "Person 3, shots 1, 3: likelihood over 99%."
    assert phrases.moment({**timeless, "shots": []}) == "Person 3: likelihood over 99%."
