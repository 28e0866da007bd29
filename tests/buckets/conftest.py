"""A store of this machine that speaks S3 (moto's server), and a cache of its own."""

import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import fsspec
import pytest

from dfjax.buckets import store


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.fixture
def bucket(endpoint, monkeypatch, tmp_path) -> str:
    """The URL of an empty bucket. Credentials are found as the cloud's own tools find them."""
    monkeypatch.setattr(store, "FIRST_WAIT", 0.01)
    settings = {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",  # the driver's own, which it makes slowly before dfjax's
        store.CACHE: str(tmp_path / "cache"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    url = f"s3://bucket-{os.getpid()}-{time.monotonic_ns()}"
    fsspec.core.url_to_fs(url)[0].mkdir(url)
    return url


@pytest.fixture
def other_machine(monkeypatch, tmp_path):
    """Leaves the local copies behind."""

    def move() -> pathlib.Path:
        path = tmp_path / f"machine{time.monotonic_ns()}"
        monkeypatch.setenv(store.CACHE, str(path))
        return path

    return move
