"""`dfjax serve` without a model serves the detector that comes with dfjax, and says so."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import httpx
import pytest

from dfjax import model_card
from dfjax.model_card import VERDICTS
from dfjax.weights import shipped
from tests.conftest import COMPILE_CACHE

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def address(tmp_path):
    """Of a server that was started without a model; its log is in `tmp_path`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(COMPILE_CACHE)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dfjax.cli", "serve", "--port", str(port), "--jobs", "1"],
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
            stderr=log,
        )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(30) == 0


def wait_until_ready(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise TimeoutError


def test_it_answers_with_its_name_and_its_terms(address, tmp_path):
    photograph = (ROOT / "docs" / "examples" / "london_001.jpg").read_bytes()
    release = model_card.read(shipped.DETECTOR).release
    with httpx.Client(base_url=address, timeout=120) as client:
        wait_until_ready(client)
        report = client.post("/v1/detect", files={"file": ("a.jpg", photograph)}).json()
    assert report["verdict"]["label"] in VERDICTS
    assert report["model"]["release"]["name"] == release.name
    assert report["model"]["release"]["terms"] == release.terms
    log = (tmp_path / "log").read_text()
    assert release.trained_on in log
    assert release.terms in log
