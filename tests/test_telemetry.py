"""Whatever scores or serves neither phones home nor leaves files where it was not asked to."""

import ast
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from dfjax.inference import runtimes
from dfjax.media import image
from tests import trap

ROOT = pathlib.Path(__file__).parents[1]

# TensorFlow loads Keras, which writes its defaults, and Matplotlib, which keeps its list of fonts.
KEPT_BY_TENSORFLOW = re.compile(r"home/(\.keras/keras\.json|\.cache/matplotlib/fontlist\S+)$")

pytestmark = pytest.mark.skipif(trap.UNKNOWN, reason="the trap knows Linux on x86-64 and aarch64")


@pytest.fixture
def trapped(tmp_path):
    """Starts Python with arguments as `trap` does, with empty folders for its files."""

    def start(*arguments: object, **variables: str) -> subprocess.Popen:
        for name in ("home", "tmp", "compiled"):
            (tmp_path / name).mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
            "HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "tmp"),
        }
        return subprocess.Popen(
            [sys.executable, trap.__file__, *map(str, arguments)],
            cwd=tmp_path,
            env=environment | variables,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def third_party_modules() -> set[str]:
    """What the package imports anywhere and is neither Python's nor its own."""
    modules = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for path in (ROOT / "dfjax").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    own = {*sys.stdlib_module_names, "dfjax"}
    return {module for module in modules if module.partition(".")[0] not in own}


def left(folder: pathlib.Path) -> set[str]:
    """The files in HOME and TMPDIR."""
    paths = (path for name in ("home", "tmp") for path in (folder / name).rglob("*"))
    return {str(path.relative_to(folder)) for path in paths if path.is_file()}


def test_the_trap_catches_who_looks_a_name_up(trapped):
    program = "import socket; socket.getaddrinfo('example.invalid', 443)"
    process = trapped("-c", program)
    process.communicate()
    assert process.returncode == -signal.SIGSYS


@pytest.mark.parametrize("runtime", runtimes.RUNTIMES)
def test_an_export_is_scored_in_silence(exported, trapped, tmp_path, runtime):
    program = """
import sys
import numpy as np
from dfjax.inference import scorer
(score,) = scorer.load(*sys.argv[1:]).scores(np.zeros((1, 40, 40, 3), np.uint8))
assert 0 < score < 1
"""
    process = trapped("-c", program, exported, runtime)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert not {path for path in left(tmp_path) if not KEPT_BY_TENSORFLOW.match(path)}
    assert runtime == "savedmodel" or not left(tmp_path)


def post_when_it_listens(process: subprocess.Popen, url: str, picture: bytes) -> httpx.Response:
    while process.poll() is None:
        try:
            return httpx.post(url, files={"file": ("a.png", picture)}, timeout=60)
        except httpx.ConnectError:
            time.sleep(0.2)
    raise AssertionError(process.communicate()[1])


def test_a_server_answers_in_silence(exported, crops, trapped, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ("dfjax.cli", "serve", "--model", exported, "--port", port, "--jobs", 1)
    process = trapped("-m", *command)
    picture = image.encode_image(crops[0], "png")
    report = post_when_it_listens(process, f"http://127.0.0.1:{port}/v1/detect", picture)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert report.status_code == 200, errors
    assert report.json()["model"]["runtime"] == "onnx"
    assert process.returncode == 0, errors
    assert not left(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("module", sorted(third_party_modules()))
def test_no_package_says_anything_when_it_is_imported(trapped, tmp_path, module):
    process = trapped("-c", f"import dfjax, {module}")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert not {path for path in left(tmp_path) if not KEPT_BY_TENSORFLOW.match(path)}
