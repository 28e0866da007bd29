"""A server in a process of its own, its model, and uploads that show a drawn face."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import av
import httpx
import numpy as np
import pytest

from dfjax import model_card
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image, video

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "load_server.py"


class Server:
    """A running server: its process, its folder for uploads, and a client for it."""

    def __init__(self, process, port, folder, log):
        self.process, self.port, self.folder, self._log = process, port, folder, log
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=60)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def metric(self, name: str) -> float:
        """The sum over all labels of a counter."""
        lines = self.client.get("/metrics").text.splitlines()
        samples = [line for line in lines if line.partition("{")[0].partition(" ")[0] == name]
        assert samples, name
        return sum(float(line.rpartition(" ")[2]) for line in samples)

    def zygote(self) -> int:
        """The process id of what forks its decode workers."""
        (pid,) = _children(self.process.pid)
        return pid

    def busy(self) -> list[int]:
        """The process ids of the workers that have a task: others are not confined yet."""
        workers = _children(self.zygote())
        return [pid for pid in workers if re.search(r"address space +2147483648", _limits(pid))]


def _children(pid: int) -> list[int]:
    found = [p.read_text().split() for p in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for pids in found for child in pids]


def _limits(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return ""


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """A context manager that starts a server on a model and waits until it is ready.

    Every batch takes `slow` seconds longer.
    """
    cache = tmp_path_factory.mktemp("compiled")
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    @contextlib.contextmanager
    def start(model, slow=0.0, **settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {"model": str(model), "port": port, **settings}
        folder = tmp_path_factory.mktemp("server")
        log = tmp_path_factory.mktemp("log") / "log"
        with open(log, "w") as file:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "serve", json.dumps(settings), str(slow)],
                env={**environment, "TMPDIR": str(folder)},
                stderr=file,
            )
        server = Server(process, port, folder, log)
        try:
            _wait_until_ready(server)
            yield server
        finally:
            server.client.close()
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()

    return start


def _wait_until_ready(server):
    for _ in range(600):
        assert server.process.poll() is None, server.log
        with contextlib.suppress(httpx.TransportError):
            if server.client.get("/v2/health/ready").status_code == 200:
                return
        time.sleep(0.2)
    raise TimeoutError(server.log)


@pytest.fixture(scope="session")
def model(run, tmp_path_factory):
    """The tiny run with a card that says aligned crops of 40 px, so that faces are detected."""
    workdir = tmp_path_factory.mktemp("aligned") / "run"
    shutil.copytree(run, workdir)
    card = model_card.read(workdir)
    dataclasses.replace(card, crop_spec=CropSpec(size=40, working_size=320)).write(workdir)
    return workdir


@pytest.fixture(scope="session")
def server(start, model):
    """A server that tests share; they leave it as it was."""
    with start(model) as running:
        yield running


@pytest.fixture(scope="session")
def face():
    """A drawn person, frames [12, H, W, 3]."""
    return synthetic.film(synthetic.Settings(frames=12), 3, 0).frames


@pytest.fixture(scope="session")
def picture(face) -> bytes:
    """The face as a PNG file."""
    return image.encode_image(face[0], "png")


@pytest.fixture(scope="session")
def clip(face, tmp_path_factory) -> bytes:
    """The face as an .mp4 file."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    video.write_video(path, face, fps=25, crf=18)
    return path.read_bytes()


@pytest.fixture(scope="session")
def slow_clip(tmp_path_factory) -> bytes:
    """A small file whose decoding takes long: 800 large frames that repeat the one before."""
    path = tmp_path_factory.mktemp("slow") / "slow.mkv"
    with av.open(path, "w") as container:
        options = {"preset": "ultrafast", "g": "20"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 4096, 2304, "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((3456, 4096), 128, np.uint8), "yuv420p")
        packets = [packet for _ in range(20) for packet in stream.encode(grey)] + stream.encode()
        for number in range(800):
            copy = av.Packet(bytes(packets[number % 20]))
            copy.stream, copy.is_keyframe = stream, number % 20 == 0
            copy.time_base = packets[0].time_base
            copy.pts = copy.dts = number
            container.mux(copy)
    return path.read_bytes()
