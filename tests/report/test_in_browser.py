"""The page as people see it: on a desk, on a phone and on paper, without a network."""

import numpy as np
import pytest

from dfjax.media import image
from dfjax.report import report
from tests import chromium
from tests.chromium import fits, needs_browser
from tests.report import reports


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of every kind of dataset, with pictures of errors."""
    folder = tmp_path_factory.mktemp("report")
    whole, *others = reports.make_dataset(), reports.one_class(), reports.hostile()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for error in whole["worst"]:
        error["picture"] = image.data_uri(pixels, side=128)
    report.write(reports.write(folder, [whole, *others], reports.make_robustness()))
    return (folder / report.HTML).as_uri()


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_every_width_and_shows_every_figure(browser, address, scheme):
    context = browser.new_context(java_script_enabled=False, color_scheme=scheme)
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address)
    for width in (1280, 360, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert fits(page)
        charts = page.locator("figure.chart > svg")
        boxes = [charts.nth(number).bounding_box() for number in range(charts.count())]
        assert len(boxes) == 2 * 6 + 8  # curves, reliability and histograms twice; distortions
        assert all(box["width"] > 180 and box["height"] > 135 for box in boxes)
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    pictures = page.locator("img")
    assert pictures.count() == 6
    widths = pictures.evaluate_all("all => all.map(it => it.naturalWidth)")
    assert widths == [128] * 6
    assert [url for url in requests if not url.startswith("data:")] == [page.url]
    assert complaints == []
    context.close()


@needs_browser
def test_no_text_of_a_figure_leaves_it(browser, address):
    page = browser.new_page()
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(address)
    outside = page.locator("figure.chart > svg text").evaluate_all(
        """all => all.filter(it => {
            const [own, around] = [it, it.ownerSVGElement].map(e => e.getBoundingClientRect());
            return own.left < around.left - 1 || own.right > around.right + 1
                || own.top < around.top - 1 || own.bottom > around.bottom + 1;
        }).map(it => it.textContent)"""
    )
    assert outside == []
    page.close()


@needs_browser
def test_page_prints_without_cutting_tables(browser, address, tmp_path):
    page = browser.new_page()
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 within margins of 10 mm
    page.emulate_media(media="print")
    page.goto(address)
    cut = page.locator(".wide").evaluate_all(
        "all => all.filter(it => it.scrollWidth > it.clientWidth + 1).map(it => it.ariaLabel)"
    )
    assert cut == []
    assert page.pdf(path=tmp_path / "report.pdf", format="A4")[:5] == b"%PDF-"
    page.close()
