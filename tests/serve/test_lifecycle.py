"""Workers die, models change and servers stop, and every request in progress is answered."""

import base64
import concurrent.futures
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from dfjax import model_card
from dfjax.media import image
from dfjax.serve import app, spool
from dfjax.serve.settings import Settings

PREDICT = "/v1/models/dfjax:predict"


@pytest.fixture(scope="module")
def request_body(crops):
    text = base64.b64encode(image.encode_image(crops[0], "png")).decode()
    return {"instances": [{"b64": text}]}


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_stops_finishes_its_work(start, model, request_body, clip):
    with start(model, slow=1.0, max_batch=4) as server:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            post = server.client.post
            answers = [threads.submit(post, PREDICT, json=request_body) for _ in range(7)]
            answers.append(threads.submit(post, "/v1/detect", files={"file": ("a.mp4", clip)}))
            until(lambda: server.metric("dfjax_batch_crops_count") > 0)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            until(lambda: server.client.get("/v2/health/ready").status_code == 503)
            assert server.client.get("/v2/health/live").status_code == 200
            late = server.client.post("/v1/detect", files={"file": ("a.mp4", clip)})
            assert (late.status_code, late.json()["error"]["code"]) == (503, "draining")
            assert [answer.result().status_code for answer in answers] == [200] * 8
        assert server.process.wait(30) == 0
        assert list(server.folder.iterdir()) == []


def test_a_worker_that_is_killed_fails_its_request_alone(server, picture, clip):
    def send():
        return server.client.post("/v1/detect", files={"file": ("a.mp4", clip)})

    before, restarts = server.workers(), server.metric("dfjax_worker_restarts_total")
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(send) for _ in range(2)]
        until(lambda: server.metric("dfjax_queue_files") == 0)
        time.sleep(0.3)
        os.kill(before[0], signal.SIGKILL)
        os.kill(before[1], signal.SIGCONT)
        statuses = sorted(answer.result().status_code for answer in answers)
    assert statuses == [200, 503]
    assert server.metric("dfjax_worker_restarts_total") == restarts + 1
    assert [send().status_code for _ in range(2)] == [200, 200]
    assert len(server.workers()) == 2
    assert before[1] in server.workers()
    (spool,) = server.folder.iterdir()
    assert [path.name for path in spool.iterdir()] == ["lock"]


def test_a_worker_that_hangs_is_replaced(start, model, picture):
    with start(model, workers=1, job_seconds=0.5) as server:
        os.kill(server.workers()[0], signal.SIGSTOP)
        job = server.client.post("/v1/jobs", files={"file": ("a.png", picture)}).json()
        until(lambda: server.client.get(job["href"]).json()["status"] == "failed")
        assert server.client.get(job["href"]).json()["error"]["code"] == "time_limit"
        answer = server.client.post("/v1/detect", files={"file": ("a.png", picture)})
        assert answer.status_code == 200


def put(model, folder, **changes):
    """Copies a model to its place in one step, with another card."""
    half = folder.with_name(f"{folder.name}.half")
    shutil.copytree(model, half)
    dataclasses.replace(model_card.read(half), **changes).write(half)
    half.rename(folder)


def test_a_new_version_takes_over_and_a_corrupt_one_does_not(start, model, request_body, tmp_path):
    root = tmp_path / "versions"
    root.mkdir()
    put(model, root / "1")
    with start(root, poll_seconds=0.2) as server:

        def served():
            return server.client.get("/v1/models/dfjax").json()["model_version_status"][0][
                "version"
            ]

        scores, done = [], threading.Event()

        def keep_asking():
            while not done.wait(0.05):
                answer = server.client.post(PREDICT, json=request_body)
                scores.append(answer.json()["predictions"][0]["score"])

        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            asking = threads.submit(keep_asking)
            until(lambda: len(scores) > 5)
            assert served() == "1"
            put(model, root / "2", temperature=50.0)
            until(lambda: served() == "2")
            enough = len(scores) + 5
            until(lambda: len(scores) > enough)
            done.set()
            asking.result()  # no request failed
        assert len(set(scores)) == 2
        assert scores == sorted(scores, key=scores.index)

        put(model, root / "3")
        checkpoints = root / "4.half"
        shutil.copytree(root / "3", checkpoints)
        until(lambda: served() == "3")
        largest = max((checkpoints / "checkpoints").rglob("*"), key=lambda f: f.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:100])
        checkpoints.rename(root / "4")
        until(lambda: server.metric("dfjax_refused_versions_total") == 1)
        (root / "5").mkdir()
        (root / "5" / model_card.FILE).write_text("{")
        until(lambda: server.metric("dfjax_refused_versions_total") == 2)
        assert served() == "3"
        assert server.client.post(PREDICT, json=request_body).status_code == 200
        assert "version 4 refused" in server.log
        shutil.rmtree(root / "3")
        until(lambda: served() == "2")
    with start(root) as server:
        assert server.metric("dfjax_refused_versions_total") == 2
        assert server.client.get("/v1/models/dfjax/versions/2").status_code == 200


def test_uploads_of_a_killed_server_are_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive = spool.Spool()
    abandoned = tmp_path / "dfjax-serve-abandoned"
    abandoned.mkdir()
    (abandoned / "upload.mp4").write_bytes(b"x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "dfjax-serve-link").symlink_to(elsewhere)
    new = spool.Spool()
    assert not abandoned.exists()
    assert alive.path.exists()
    assert elsewhere.exists()
    assert new.path.stat().st_mode & 0o777 == 0o700
    with contextlib.suppress(ZeroDivisionError), new.file(b"\xff\xd8\xff") as path:
        assert os.stat(path).st_mode & 0o777 == 0o600
        raise ZeroDivisionError
    assert not os.path.exists(path)
    new.close()
    alive.close()
    assert not new.path.exists()


def test_an_address_in_use_is_named_before_the_model_is_loaded(server):
    settings = Settings(model="nowhere", port=server.port)
    with pytest.raises(OSError, match=f"{server.port}: Address already in use: give another"):
        app.bind(settings)
    command = [sys.executable, "-m", "dfjax.cli", "serve", "--model", "nowhere", "--port"]
    done = subprocess.run([*command, str(server.port)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Address already in use" in done.stderr
