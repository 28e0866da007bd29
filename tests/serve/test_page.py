"""The page in a real browser, against a real server."""

import graphlib
import hashlib
import json
import pathlib
import re

import pytest
from axe_playwright_python import sync_playwright as axe_playwright

from dfjax import phrases, words
from dfjax.inference.page import render_html
from dfjax.serve import web_page
from tests import chromium, translation
from tests.chromium import fits, needs_browser
from tests.inference.reports import video_report

HTML, SCRIPT = "text/html", "text/javascript"
SETTLED = "it => it.seeking && new Promise(go => it.addEventListener('seeked', go, {once: true}))"
# All that the page says to those who see it and to those who hear it.
SAID = """() => {
    const names = ["alt", "aria-label", "aria-valuetext", "placeholder", "title"];
    const attributes = (node) => names.map((name) => node.getAttribute(name) ?? "");
    const texts = (node) => [...node.childNodes].flatMap((each) => each.data ?? []);
    const nodes = [...document.body.querySelectorAll("*")];
    return [document.title, ...nodes.flatMap(texts), ...nodes.flatMap(attributes)];
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


@pytest.fixture
def page(browser, server):
    """The open page; at the end it must have asked only its server and logged nothing."""
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(30_000)
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(f"{message.text} {message.location}"))
    page.goto(server.url)
    yield page
    context.close()
    assert [url for url in requests if not url.startswith((server.url, "blob:", "data:"))] == []
    # Chromium itself logs every answer from 400 on.
    assert [text for text in complaints if not re.search("status of [45].*/v1/", text)] == []


def give(page, name, data):
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})


def wait_for_report(page):
    page.locator("#headline").wait_for()
    with page.expect_download() as download:
        page.locator("#download").click()
    return json.loads(pathlib.Path(download.value.path()).read_text()), download.value


@needs_browser
def test_a_picture_gets_a_verdict_with_boxes_and_heat_maps(page, picture):
    give(page, "face.png", picture)
    written, download = wait_for_report(page)
    assert download.suggested_filename == "face.png.report.json"
    assert written["media"]["sha256"] == hashlib.sha256(picture).hexdigest()
    assert page.locator("#headline").text_content() == written["verdict"]["headline"]
    assert page.locator("#meaning").text_content() == written["verdict"]["meaning"]
    assert page.evaluate("document.activeElement.id") in ("headline", "download")
    assert written["media"]["sha256"] in page.locator("#facts").text_content()
    assert page.locator("#time").is_hidden()

    (box,) = (face["box"] for entry in written["timeline"] for face in entry["faces"])
    stage = page.locator("#stage").bounding_box()
    drawn = page.locator("#boxes .line").bounding_box()
    scale = stage["width"] / written["media"]["width"]
    assert drawn["x"] - stage["x"] == pytest.approx(scale * box[0], abs=3)
    assert drawn["height"] == pytest.approx(scale * (box[3] - box[1]), abs=6)

    face = page.locator("#strongest img")
    assert face.get_attribute("src") == written["strongest"][0]["heat_map"]
    page.locator("#heat").focus()
    page.keyboard.press("Space")
    assert face.get_attribute("src") == written["strongest"][0]["crop"]
    assert face.get_attribute("alt") == "Face of person 1"


@needs_browser
def test_the_timeline_leads_through_the_video(page, clip):
    give(page, "clip.mp4", clip)
    written, _ = wait_for_report(page)
    assert written["media"]["frames"]["analysed"] == len(written["timeline"]) == 12
    timeline = page.locator("#timeline")
    chart = page.locator("#timeline > svg").bounding_box()

    def moment():
        page.locator("#stage video").evaluate(SETTLED)
        said = timeline.get_attribute("aria-valuetext")
        return page.evaluate("document.querySelector('#stage video').currentTime"), said

    # 12 frames at 25 a second: the seventh lies at half of the time, in mid-frame at 0.26 s.
    left = chart["x"] - timeline.bounding_box()["x"]
    timeline.click(position={"x": left + chart["width"] / 2, "y": 60})
    time, said = moment()
    assert time == pytest.approx(0.26, abs=1e-3)
    likelihood = phrases.percent(written["timeline"][6]["faces"][0]["score"])
    label = words.LABELS[written["tracks"][0]["label"]]
    assert said == f"0:00.2, person 1: {label}, {likelihood} here"
    assert page.locator("#moment").text_content() == f"{said}."
    for key, expected in (("ArrowRight", 7), ("Home", 0), ("ArrowLeft", 0), ("End", 11)):
        timeline.press(key)
        time, _ = moment()
        assert time == pytest.approx((expected + 0.5) / 25, abs=1e-3)
        assert timeline.get_attribute("aria-valuenow") == str(expected)
        assert page.locator("#boxes .line").count() == len(written["timeline"][expected]["faces"])
    timeline.press("Home")
    page.locator("#play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # again: half a second later it is over
    assert moment()[0] == pytest.approx(12 / 25, abs=0.05)
    assert timeline.get_attribute("aria-valuenow") == "11"
    page.locator("#strongest button").first.click()
    time, _ = moment()
    assert time == pytest.approx(written["strongest"][0]["time_s"] + 0.02, abs=1e-3)


@needs_browser
@pytest.mark.parametrize("name", ["<script>window.hacked=1</script>.png", "../../x.png"])
def test_a_name_is_text(page, picture, name):
    give(page, name, picture)
    written, download = wait_for_report(page)
    assert written["media"]["name"] == name
    assert page.locator("#name").text_content() == name
    assert page.evaluate("window.hacked") is None
    assert re.fullmatch(r"[A-Za-z0-9_.-]+\.report\.json", download.suggested_filename)


@needs_browser
def test_a_large_file_becomes_a_job(page, picture, server):
    with page.expect_response("**/v1/jobs") as started:
        give(page, "large.png", picture + bytes(9 * 2**20))
    with page.expect_request(lambda request: request.method == "DELETE") as forgotten:
        written, _ = wait_for_report(page)
    assert written["media"]["bytes"] == len(picture) + 9 * 2**20
    href = started.value.json()["href"]
    assert forgotten.value.url == server.url + href
    forgotten.value.response()
    assert server.client.get(href).status_code == 404


@needs_browser
def test_a_broken_file_is_explained(page, picture, server):
    give(page, "face.png", picture)
    wait_for_report(page)
    broken = picture[:1000]
    answer = server.client.post("/v1/detect", files={"file": ("broken.png", broken)})
    message = answer.json()["error"]["message"]
    assert "save the picture" in message
    give(page, "broken.png", broken)
    page.locator("#failure").wait_for()
    text = page.get_by_role("alert").text_content()
    assert text == f"{message[0].upper()}{message[1:]}."
    assert page.locator("#result").is_hidden()
    assert page.locator("#busy").is_hidden()


@needs_browser
def test_a_busy_server_is_asked_again(page, picture):
    answers = [{"status": 429, "headers": {"Retry-After": "1"}, "json": {"error": {}}}]

    def answer(route):
        route.fulfill(**answers.pop()) if answers else route.continue_()

    page.route("**/v1/detect", answer)
    give(page, "face.png", picture)
    page.get_by_text("The server is busy, trying again in 1 s.").wait_for()
    wait_for_report(page)
    assert page.locator("#busy").is_hidden()


@needs_browser
@pytest.mark.parametrize(
    ("status", "code", "tries"), [(503, "worker_died", 3), (422, "corrupt", 1)]
)
def test_a_file_that_ends_its_process_is_not_sent_for_ever(page, picture, status, code, tries):
    sent = []

    def answer(route):
        sent.append(route.request.method)
        error = {"code": code, "message": "it ended: try again"}
        headers = {"Retry-After": "1"} if status == 503 else {}
        route.fulfill(status=status, headers=headers, json={"error": error})

    page.route("**/v1/detect", answer)
    give(page, "face.png", picture)
    page.locator("#failure").wait_for()
    assert page.get_by_role("alert").text_content() == "It ended: try again."
    assert len(sent) == tries


@needs_browser
def test_waiting_can_be_cancelled(page, picture):
    page.route("**/v1/detect", lambda _: None)  # no answer ever comes
    give(page, "face.png", picture)
    page.locator("#cancel").click()
    assert page.locator("#busy").is_hidden()
    assert page.evaluate("document.activeElement.id") == "file"
    page.unroute("**/v1/detect")
    give(page, "face.png", picture)
    wait_for_report(page)


@needs_browser
def test_the_camera_takes_a_picture(page):
    page.locator("#camera-open").click()
    page.locator("#camera-take").click()
    written, _ = wait_for_report(page)
    assert written["media"]["name"] == "camera.jpg"
    assert written["verdict"]["reason"] == "no_face"  # Chromium's own test picture
    assert page.locator("#camera").is_hidden()
    assert page.evaluate("document.getElementById('camera-video').srcObject") is None


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_and_report_fit_a_phone(page, browser, clip, tmp_path, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 640})
    assert fits(page)
    give(page, "clip.mp4", clip)
    written, _ = wait_for_report(page)
    assert fits(page)
    (tmp_path / "report.html").write_text(render_html(written))
    context = browser.new_context(java_script_enabled=False, color_scheme=scheme)
    alone = context.new_page()
    requests, complaints = [], []
    alone.on("request", lambda request: requests.append(request.url))
    alone.on("console", lambda message: complaints.append(message.text))
    alone.set_viewport_size({"width": 320, "height": 640})
    alone.goto((tmp_path / "report.html").as_uri())
    assert alone.locator("h1").text_content() == written["verdict"]["headline"]
    assert fits(alone)
    assert [url for url in requests if not url.startswith("data:")] == [alone.url]
    assert complaints == []
    context.close()


def test_the_page_keeps_to_its_own_rules():
    text = web_page.render_index()
    scripts = {file.name: file.read_text() for file in web_page.FOLDER.glob("*.js")}
    scripts["words.js"] = web_page.write_words()
    script = "\n".join(scripts.values())
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", text) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script) == []
    named = set(re.findall(r'\$\("([\w-]+)"\)', script))
    assert named - {"cursor"} <= set(re.findall(r'id="([\w-]+)"', text))
    exported = set(re.findall(r"export const (\w+)", scripts["words.js"]))
    for names in re.findall(r'import \{([^}]+)\} from "./words.js"', script):
        assert set(re.split(r",\s*", names.strip())) <= exported
    imports = {name: set(re.findall(r'\bfrom "(.+)"', code)) for name, code in scripts.items()}
    assert set().union(*imports.values()) == {f"./{name}" for name in scripts if name != "app.js"}
    assert re.findall(r"import\s*\(|import\s+\"", script) == []
    graph = {f"./{name}": names for name, names in imports.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_scripts_hold_no_sentences():
    allowed = {"Retry-After", "point unused", "span t"}
    for file in web_page.FOLDER.glob("*.js"):
        code = re.sub(r"//.*", "", file.read_text())
        for text in re.findall(r'"([^"\n]*)"', code) + re.findall(r"`([^`]*)`", code):
            told = re.sub(r"\$\{[^}]*\}", "", text)
            assert told in allowed or not re.search("[A-Z][a-z]|[a-z] [a-z]", told), file.name


@needs_browser
def test_the_page_says_nothing_of_its_own(page, picture, monkeypatch):
    translation.install(monkeypatch)
    report = video_report(synthetic=False)
    words_js = web_page.write_words()
    page.route("**/", lambda route: route.fulfill(body=web_page.render_index(), content_type=HTML))
    page.route("**/words.js", lambda route: route.fulfill(body=words_js, content_type=SCRIPT))
    page.route("**/v1/detect", lambda route: route.fulfill(json=report))
    page.reload()
    give(page, "face.png", picture)
    written, _ = wait_for_report(page)
    page.get_by_text(words.PAGE["unplayable"]).wait_for()
    told = page.evaluate(SAID)
    assert f": {words.REASONS['too_few_frames']}" in "".join(told)
    from_outside = translation.words_of(written) | {"dfjax", "AM", "PM"}
    assert translation.words_of(told) <= from_outside


@needs_browser
def test_scores_and_times_read_as_in_the_report(page):
    scores = [0, 0.004, 0.0099, 0.01, 0.126, 0.5, 0.99, 0.9901, 1]
    times = [0, 0.04, 0.26, 9.96, 59.97, 65.2, 600, 3725.5]
    program = """async ([scores, times]) => {
        const { clock, percent } = await import("/phrases.js");
        return [scores.map(percent), times.map(clock)];
    }"""
    expected = ["0:00.0", "0:00.0", "0:00.3", "0:10.0", "1:00.0", "1:05.2", "10:00.0", "62:05.5"]
    percents, clocks = page.evaluate(program, [scores, times])
    assert percents == [phrases.percent(score) for score in scores]
    assert clocks == expected


@needs_browser
def test_evidence_reads_as_in_the_report(page, browser, picture, tmp_path):
    signing = pytest.importorskip("tests.evidence.signing", exc_type=ImportError)
    made = {"action": "c2pa.created", "digitalSourceType": f"{signing.IPTC}trainedAlgorithmicMedia"}
    evil = {"action": "c2pa.color_adjustments", "softwareAgent": "<script>window.hacked=1</script>"}
    signed = signing.sign(picture, "image/png", made, *[evil] * 30)
    changed = signed + b"more"
    context = browser.new_context(java_script_enabled=False)
    alone = context.new_page()
    heading = alone.get_by_role("heading", name="What the file says of its origin")
    for number, data in enumerate((signed, changed, picture)):
        give(page, f"{number}.png", data)
        page.get_by_text(f"Report on {number}.png").wait_for()
        written, _ = wait_for_report(page)
        (tmp_path / "report.html").write_text(render_html(written))
        alone.goto((tmp_path / "report.html").as_uri())
        expected = alone.locator("section").filter(has=heading).inner_text().split()
        assert page.locator("#evidence").inner_text().split() == expected
        state = ("unknown_signer", "broken", "none")[number]
        assert written["evidence"]["content_credentials"]["state"] == state
        assert ("generated by AI" in " ".join(expected)) == (state != "none")
        assert ("and 11 more" in " ".join(expected)) == (state != "none")
    assert page.evaluate("window.hacked") is None
    context.close()


def broken_rules(page) -> list[tuple[str, str]]:
    """The rules of axe-core that a page breaks, each with the element that does."""
    found = axe_playwright.Axe().run(page).response["violations"]
    return [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]]


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_and_report_break_no_rule_of_accessibility(page, browser, clip, tmp_path, scheme):
    """The rules of axe-core: names for screen readers, contrast, order of headings, ..."""
    page.emulate_media(color_scheme=scheme)
    assert broken_rules(page) == []
    give(page, "clip.mp4", clip)
    written, _ = wait_for_report(page)
    assert broken_rules(page) == []
    for name, report in {"clip": written, "shots": video_report()}.items():
        (tmp_path / f"{name}.html").write_text(render_html(report))
        alone = browser.new_page(color_scheme=scheme)
        alone.goto((tmp_path / f"{name}.html").as_uri())
        assert broken_rules(alone) == []
        alone.close()
