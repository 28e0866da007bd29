"""Workers die, models change and servers stop, and every request in progress is answered."""

import base64
import concurrent.futures
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from dfjax import model_card
from dfjax.errors import UserError
from dfjax.media import image
from dfjax.serve import app, service, spool
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


def send(server, data, name="a.mkv"):
    return server.client.post("/v1/detect", files={"file": (name, data)})


def start_job(server, data, name="a.mkv"):
    return server.client.post("/v1/jobs", files={"file": (name, data)}).json()["href"]


def status(server, href) -> str:
    return server.client.get(href).json()["status"]


def test_a_worker_that_is_killed_fails_its_request_alone_and_the_second_time_its_file(
    server, picture, slow_clip
):
    restarts = server.metric("dfjax_worker_restarts_total")
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        for expected in ((503, "worker_died"), (422, "corrupt")):
            answer = threads.submit(send, server, slow_clip)
            until(server.busy)
            assert send(server, picture, "a.png").status_code == 200
            for pid in server.busy():
                os.kill(pid, signal.SIGKILL)
            failed = answer.result()
            assert (failed.status_code, failed.json()["error"]["code"]) == expected
            assert ("retry-after" in failed.headers) == (expected[0] == 503)
    assert server.metric("dfjax_worker_restarts_total") == restarts + 2
    assert send(server, picture, "a.png").status_code == 200
    (folder,) = server.folder.iterdir()
    assert list((folder / "uploads").iterdir()) == []


def test_who_forks_the_workers_comes_back_by_itself(start, model, picture):
    with start(model, alive_seconds=0.1) as server:
        zygote = server.zygote()
        os.kill(zygote, signal.SIGSTOP)
        os.kill(zygote, signal.SIGKILL)
        seen = set()
        until(lambda: seen.add(health(server)) or len(seen) == 2)  # 200, 503: then it is back
        until(lambda: health(server) == 200)
        assert server.zygote() != zygote
        assert send(server, picture, "a.png").status_code == 200


def health(server) -> int:
    return server.client.get("/v2/health/ready").status_code


def test_a_task_that_takes_too_long_is_killed(start, model, picture, slow_clip):
    with start(model, workers=1, job_seconds=0.5) as server:
        href = start_job(server, slow_clip)
        until(lambda: status(server, href) == "failed")
        assert server.client.get(href).json()["error"]["code"] == "time_limit"
        assert send(server, picture, "a.png").status_code == 200


def test_what_was_given_up_is_stopped(server, picture, slow_clip):
    restarts = server.metric("dfjax_worker_restarts_total")
    for _ in range(2):
        href = start_job(server, slow_clip)
        until(lambda href=href: status(server, href) == "running" and server.busy())
        assert server.client.delete(href).status_code == 204
        until(lambda: not server.busy())
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            request = server.client.build_request(
                "POST", "/v1/detect", files={"file": ("a.mkv", slow_clip)}
            )
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            connection.sendall(f"POST /v1/detect HTTP/1.1\r\n{head}\r\n".encode())
            connection.sendall(request.read())
            until(server.busy)
        until(lambda: not server.busy())
    began = time.monotonic()
    assert send(server, picture, "a.png").status_code == 200
    assert time.monotonic() - began < 10
    until(lambda: server.metric("dfjax_worker_restarts_total") == restarts + 4)
    until(lambda: server.metric("dfjax_unfinished_jobs") == 0)
    assert server.metric("dfjax_held_bytes") == 0
    until(lambda: not server.busy())  # the worker of the picture ends after its answer


@pytest.mark.parametrize(
    "end", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL]
)
def test_no_acknowledged_job_is_lost(start, model, picture, slow_clip, tmp_path, end):
    settings = {"state": str(tmp_path / "state"), "workers": 1}
    with start(model, drain_seconds=0.5, **settings) as server:
        done = start_job(server, picture, "a.png")
        until(lambda: status(server, done) == "done")
        before = server.client.get(done).json()
        running, queued = start_job(server, slow_clip), start_job(server, picture, "a.png")
        until(lambda: status(server, running) == "running")
        began = time.monotonic()
        server.process.send_signal(end)
        assert server.process.wait(30) == (0 if end == signal.SIGTERM else -end)
        assert time.monotonic() - began < 10
    with start(model, job_seconds=1.0, **settings) as server:
        assert server.client.get(done).json() == before
        until(lambda: status(server, queued) == "done")
        assert server.client.get(running).json()["error"]["code"] == "time_limit"
        assert list((tmp_path / "state" / "uploads").iterdir()) == []


def test_a_server_says_what_confines_its_workers(server):
    (line,) = [line for line in server.log.splitlines() if "sandbox: " in line]
    layers = line.partition("sandbox: ")[2]
    assert f'dfjax_sandbox_info{{layers="{layers}"}} 1.0' in server.client.get("/metrics").text


def test_a_server_does_not_start_with_less_than_it_requires(model, monkeypatch):
    monkeypatch.setattr("dfjax.sandbox.confinement.REQUIRED", ("landlock", "magic"))
    with pytest.raises(UserError, match="lacks magic"):
        service.Service(Settings(model=str(model), require_sandbox=True))


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


def test_folders_of_killed_servers_are_removed_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive = spool.Spool(port=1)
    folders = [tmp_path / f"dfjax-serve-{name}" for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "dfjax-serve-link").symlink_to(elsewhere)
    (tmp_path / "dfjax-serve-dangling").symlink_to(tmp_path / "nowhere")
    for path in (folders[0], alive.path):
        os.utime(path, (0, 0))
    new = spool.Spool(port=2)
    assert [folder.exists() for folder in folders] == [False, True]
    assert alive.path.exists()
    assert elsewhere.exists()
    stored = new.store(b"\xff\xd8\xff", "x")
    assert os.stat(stored.path).st_mode & 0o777 == 0o600
    shutil.rmtree(new.path)  # by a program that cleans temporary folders
    stored = new.store(b"\xff\xd8\xff", "x")
    new.remove(stored)
    assert not os.path.exists(stored.path)
    new.close(keep=False)
    alive.close(keep=False)
    assert not new.path.exists()


def test_a_folder_in_use_is_named_before_the_model_is_loaded(tmp_path):
    taken = spool.Spool(tmp_path)
    settings = Settings(model="nowhere", state=str(tmp_path))
    with pytest.raises(UserError, match="is used by another server: give another folder"):
        service.Service(settings)
    taken.close(keep=True)
    with pytest.raises(UserError, match="nowhere"):
        service.Service(settings)
    spool.Spool(tmp_path).close(keep=True)  # it was given back


def test_an_address_in_use_is_named_before_the_model_is_loaded(server):
    settings = Settings(model="nowhere", port=server.port)
    with pytest.raises(OSError, match=f"{server.port}: Address already in use: give another"):
        app.bind(settings)
    command = [sys.executable, "-m", "dfjax.cli", "serve", "--model", "nowhere", "--port"]
    done = subprocess.run([*command, str(server.port)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Address already in use" in done.stderr
