"""The server under test: a process that is started, watched, robbed of its workers and killed."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request

_PAGE, _TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_START_SECONDS, _STOP_SECONDS, _ORPHAN_SECONDS = 120, 40, 5


class Server:
    """`dfjax serve` on a free port of this machine, its log and its state in `folder`."""

    def __init__(self, model: str, folder: pathlib.Path):
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._command = [sys.executable, "-m", "dfjax.cli", "serve", "--model", model]
        self._command += ["--port", str(self.port), "--jobs", "2", *_state_options(folder)]
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it and returns when it is ready; RuntimeError where it ends instead."""
        with open(self.log, "a") as log:
            self._process = subprocess.Popen(self._command, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if not self.alive or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start: see {self.log}")
            time.sleep(0.1)

    @property
    def pid(self) -> int:
        """The process id of the server itself."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """The server itself runs; its workers may not."""
        return self._process.poll() is None

    def memory(self) -> int:
        """Resident bytes of the server and of all its descendants."""
        return sum(_resident_bytes(pid) for pid in (self._process.pid, *self.descendants()))

    def processor_seconds(self) -> float:
        """Processor time of the server and of all its descendants, also of those that ended."""
        return sum(_processor_seconds(pid) for pid in (self._process.pid, *self.descendants()))

    def descendants(self) -> list[int]:
        """The process ids of all that it started, and of what these started."""
        found, left = [], [self._process.pid]
        while left:
            children = _children(left.pop())
            found += children
            left += children
        return found

    def kill_worker(self, rng: random.Random) -> bool:
        """Kills one descendant, as a machine short of memory does; False if there is none."""
        if not (pids := sorted(self.descendants())):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(pids), signal.SIGKILL)
        return True

    def kill(self) -> int:
        """Kills the server alone; returns how many of its descendants still run a while later."""
        descendants = self.descendants()
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while (left := sum(map(_runs, descendants))) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def stop(self) -> int:
        """Asks it to end, if it runs, and returns its exit status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5).status == 200
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _state_options(folder: pathlib.Path) -> list[str]:
    """Where jobs are kept, for servers that keep them."""
    command = [sys.executable, "-m", "dfjax.cli", "serve", "--help"]
    known = "--state" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return ["--state", str(folder / "state")] if known else []


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def _resident_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        return _PAGE * int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return 0


def _processor_seconds(pid: int) -> float:
    """With that of children that it collected; 0 if there is no such process."""
    return sum(map(int, _stat(pid)[11:15])) / _TICK


def _runs(pid: int) -> bool:
    """Whether the process exists and is more than an entry that nobody collected."""
    return _stat(pid)[:1] not in ([], ["Z"])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on, its state; none if there is no process."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
