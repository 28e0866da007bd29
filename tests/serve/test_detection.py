"""A file gets the report of the detector, at once or as a job."""

import io
import json
import os
import pathlib
import re
import sys
import time

import jsonschema
import pytest

from dfjax.corpora.clip import Clip
from dfjax.inference import predict, report
from dfjax.inference.detector import Detector
from dfjax.media import suffix
from dfjax.media.errors import MediaError
from dfjax.preparation import crop_clip
from dfjax.serve import web_page

PAGE = web_page.FOLDER


@pytest.fixture(scope="module")
def detector(model):
    return Detector.load(model)


def check_equal(got, result):
    """Checks that the report agrees with the result and its schema."""
    jsonschema.validate(got, json.loads(report.SCHEMA_FILE.read_text()))
    assert got["verdict"]["label"] == result.verdict.label
    assert got["verdict"]["score"] == pytest.approx(result.verdict.score, abs=1e-5)
    faces = [face for frame in got["timeline"] for face in frame["faces"]]
    assert [face["score"] for face in faces] == pytest.approx(
        [face.score for face in result.faces], abs=1e-5
    )
    assert [face["track"] for face in faces] == [face.track for face in result.faces]
    assert len(faces) > 0


def test_a_picture_and_a_clip_get_the_report_of_the_detector(
    server, detector, picture, clip, tmp_path
):
    for data, name in ((picture, "face.png"), (clip, "clip.mp4")):
        (tmp_path / name).write_bytes(data)
        answer = server.client.post("/v1/detect", files={"file": (name, data)})
        assert answer.status_code == 200, answer.text
        check_equal(answer.json(), detector.file(tmp_path / name))
        assert answer.json()["media"]["name"] == name


@pytest.mark.parametrize("content", ["picture", "clip", "text"])
def test_a_file_of_any_name_gets_one_answer_everywhere(
    server, detector, picture, clip, content, tmp_path, monkeypatch
):
    data = {"picture": picture, "clip": clip, "text": b"no picture, no video"}[content]
    (tmp_path / "files").mkdir()
    paths = [tmp_path / "files" / name for name in ("a", "a.mp4", "b.JPG", "c.doc", "d.avi.heic")]
    if content != "text":  # else it is a list
        paths.append(tmp_path / "files" / "e.txt")
    for path in paths:
        path.write_bytes(data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    sources = [*map(str, paths), "-"]
    outputs = predict.Outputs(reports=False)
    rows = predict.predict(sources, detector, tmp_path / "out", outputs=outputs)
    assert len(rows) == len(paths) + 1
    clips = [Clip("c/real/a", str(path), 0, "real", "train", ()) for path in paths]
    if content == "text":
        assert {row["reason"] for row in rows} == {"unsupported"}
        for path, each in zip(paths, clips, strict=True):
            answer = server.client.post("/v1/detect", files={"file": (path.name, data)})
            assert answer.json()["error"]["code"] == "unsupported"
            with pytest.raises(MediaError) as error:
                crop_clip.crop_clip(each, detector.crop_spec, 32)
            assert error.value.code == "unsupported"
        return
    (expected,) = {(row["score"], row["frames"]) for row in rows}
    frames = {"picture": 1, "clip": 12}[content]
    assert expected[1] == frames
    for path, each in zip(paths, clips, strict=True):
        answer = server.client.post("/v1/detect", files={"file": (path.name, data)}).json()
        assert answer["verdict"]["score"] == pytest.approx(expected[0], abs=1e-5)
        assert crop_clip.crop_clip(each, detector.crop_spec, 32).num_frames == frames


def test_a_job_gives_the_same_report(server, detector, clip, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(clip)
    started = server.client.post("/v1/jobs", files={"file": ("clip.mp4", clip)})
    assert started.status_code == 202
    href = started.json()["href"]
    assert href == started.headers["location"] == f"/v1/jobs/{started.json()['id']}"
    progress = []
    while True:
        job = server.client.get(href).json()
        progress.append(job["progress"])
        if job["status"] not in ("queued", "running"):
            break
        time.sleep(0.02)
    assert job["status"] == "done"
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    check_equal(job["report"], detector.file(tmp_path / "clip.mp4"))
    assert server.client.delete(href).status_code == 204
    assert server.client.get(href).status_code == 404
    assert server.client.get("/v1/jobs/1").json()["error"]["code"] == "no_job"


def test_a_job_on_a_broken_file_fails_with_its_code(server, clip):
    job = server.client.post("/v1/jobs", files={"file": ("a.mp4", clip[:2000])}).json()
    while (state := server.client.get(job["href"]).json())["status"] in ("queued", "running"):
        time.sleep(0.05)
    assert (state["status"], state["error"]["code"]) == ("failed", "corrupt")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "<script>alert(1)</script>.png", "-rf", "a" * 200, "ä\u202e.png"]
)
def test_a_name_is_only_text(server, picture, name):
    answer = server.client.post("/v1/detect", files={"file": (name, picture)})
    assert answer.status_code == 200
    assert answer.json()["media"]["name"] == name
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert name not in server.log


def test_refusals_have_a_status_and_a_code(server, clip, picture):
    def send(**request):
        answer = server.client.post("/v1/detect", **request)
        error = answer.json()["error"]
        assert "/tmp" not in error["message"]
        return answer.status_code, error["code"]

    def file(data, name="a.png"):
        return send(files={"file": (name, data)})

    assert file(b"") == (422, "empty")
    assert file(b"#EXTM3U\n/etc/passwd\n", "a.mp4") == (415, "unsupported")
    assert file(b"%PDF-1.7" + bytes(100)) == (415, "unsupported")
    assert file(clip[:2000]) == (422, "corrupt")
    assert file(picture[: len(picture) // 2]) == (422, "corrupt")
    assert send(content=b"x") == (415, "unsupported")
    assert send(data={"url": "http://127.0.0.1/"}) == (415, "unsupported")
    two = {"one": ("a.png", b"1"), "two": ("b.png", b"2")}
    assert send(files=two) == (400, "bad_request")
    fields = {f"field{n}": "x" for n in range(20)}
    assert send(files={"file": ("a.png", b"1")}, data=fields) == (400, "bad_request")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert send(content=b"--x\r\nbroken", headers=broken) == (400, "bad_request")


def test_the_page_comes_with_a_strict_policy(server):
    files = {f"/{file.name}": file.read_text() for file in PAGE.iterdir()}
    template = files.pop("/index.html.jinja")
    files |= {"/": web_page.render_index(), "/words.js": web_page.write_words()}
    assert {"/app.js", "/phrases.js", "/style.css"} <= files.keys()
    kinds = {"": "text/html", ".js": "text/javascript", ".css": "text/css"}
    for path, text in files.items():
        answer = server.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kinds[pathlib.Path(path).suffix])
        assert answer.text == text != template
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
    for path in ("/index.html", "/index.html.jinja", "/../app.py", "/%2e%2e/app.py", "/app.py"):
        assert server.client.get(path).status_code == 404


def test_the_page_offers_the_files_that_folders_are_searched_for():
    (offered,) = re.findall(r'accept="([^"]+)"', web_page.render_index())
    assert sorted(re.split(r",\s*", offered)) == suffix.ACCEPTED.split()


def test_real_faces_get_the_report_of_the_detector(server, detector):
    if not (folder := os.environ.get("DFJAX_TEST_DATA")):
        pytest.skip("DFJAX_TEST_DATA is not set")
    root = pathlib.Path(folder)
    for path in (next((root / "ffhq_real").rglob("*.jpg")), root / "videos/fake/FakeClinton.mp4"):
        answer = server.client.post("/v1/detect", files={"file": (path.name, path.read_bytes())})
        check_equal(answer.json(), detector.file(path))


def test_evidence_stands_beside_a_verdict_that_it_does_not_change(server, detector, clip, tmp_path):
    signing = pytest.importorskip("tests.evidence.signing", exc_type=ImportError)
    signed = signing.sign(clip, "video/mp4", tool="<b>Darkroom</b> 2\u202e")
    changed = signed.replace(b"x264 - core", b"x264 - c0re")  # which no decoder reads
    reports = {}
    for name, data in (("plain", clip), ("signed", signed), ("changed", changed)):
        answer = server.client.post("/v1/detect", files={"file": (name, data)})
        assert answer.status_code == 200, answer.text
        reports[name] = answer.json()
        (tmp_path / name).write_bytes(data)
        result = detector.file(tmp_path / name)
        check_equal(reports[name], result)
        assert reports[name]["evidence"] == report.explain_evidence(result.evidence)
    assert reports["signed"]["verdict"] == reports["plain"]["verdict"]
    assert reports["signed"]["tracks"] == reports["plain"]["tracks"]
    states = {n: r["evidence"]["content_credentials"]["state"] for n, r in reports.items()}
    assert states == {"plain": "none", "signed": "unknown_signer", "changed": "broken"}
    tool = reports["signed"]["evidence"]["content_credentials"]["tool"]
    assert tool == "<b>Darkroom</b> 2\\u202e"


def test_a_server_knows_whom_its_owner_trusts(start, model, picture, tmp_path):
    signing = pytest.importorskip("tests.evidence.signing", exc_type=ImportError)
    (tmp_path / "list.pem").write_text(signing.make_signer().root)
    with start(model, trust_list=str(tmp_path / "list.pem")) as trusting:
        signed = signing.sign(picture, "image/png")
        answer = trusting.client.post("/v1/detect", files={"file": ("a.png", signed)}).json()
    assert answer["evidence"]["content_credentials"]["state"] == "trusted"
    assert len(answer["settings"]["trust_list"]) == 64
