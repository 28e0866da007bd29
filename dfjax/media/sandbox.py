"""Decodes untrusted files in worker processes that have few rights and may be killed at any time.

A worker runs one task at a time, within limits on memory, processor time, files and descriptors. It
does not see the parent's environment nor, where the kernel allows it, a network. Its answers are
not trusted either: they are JSON and plain arrays, never pickle. `media.sandbox_worker` is the
program that the workers run.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from dfjax.media import limits
from dfjax.media.errors import MediaError
from dfjax.media.sandbox_worker import Arrays

MEMORY = 2 * 2**30  # bytes of address space: 0.4 GiB are libraries, the rest holds 32 frames of 4K
MAX_TASKS = 200  # then the process is replaced, and with it what a file broke or leaked
START_SECONDS = 60.0  # to import the libraries on a busy machine

_MAX_HEADER = 16 * 2**20  # bytes of JSON
_MAX_ARRAY = 512 * 2**20  # bytes: MAX_FACES in each of 32 frames, 256 pixels wide, are 192 MiB
_DTYPES = ("uint8", "int32", "float32", "float64")
# The signals that end a decoder which a file crashed. SIGKILL is not one of them: a machine short
# of memory sends it, whatever the file.
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class WorkerError(Exception):
    """The process that worked on a task is gone, for a reason that is not known to be the task."""


class TimeLimitError(Exception):
    """A task exceeded its time limit."""


class Sandbox:
    """A pool of worker processes; `run` may be called from several threads.

    Attributes:
      num_restarts: processes that were replaced because they died or were killed.
    """

    def __init__(self, module: str, *, workers: int, memory: int = MEMORY):
        """Starts `workers` processes that import `module`; its dict `TASKS` holds tasks by name.

        `memory` is the limit of each process, in bytes of address space.

        Raises:
          RuntimeError: they do not start.
        """
        self.num_restarts = 0
        self._module, self._memory, self._closed = module, memory, False
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = {self._start() for _ in range(workers)}
        try:
            with concurrent.futures.ThreadPoolExecutor(workers) as threads:
                list(threads.map(_Worker.wait_until_ready, self._workers))
        except WorkerError as error:
            self.close()
            raise RuntimeError(f"no worker process for {module} starts: {error}") from error
        for worker in self._workers:
            self._idle.put(worker)

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        with self._lock:
            return [worker.pid for worker in self._workers]

    def run(
        self,
        task: str,
        arguments: Mapping[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        seconds: float,
        progress: Callable[[float], None] | None = None,
    ) -> tuple[dict[str, Any], Arrays]:
        """Runs a task in the next free worker; returns its JSON reply and its arrays.

        The task may take `seconds` of wall time and of processor time. `progress` is called in the
        calling thread, with each share (0 to 1) that the task reports.

        Raises:
          MediaError: the task raised it, or the bytes crashed the decoder.
          TimeLimitError: the task took longer; its process was killed.
          WorkerError: the process is gone for another reason, or its answer makes no sense.
        """
        worker = self._idle.get()
        try:
            if not worker.alive:
                worker = self._replace(worker)
            return worker.run(task, arguments, blobs, seconds, progress or (lambda _: None))
        finally:
            if not worker.alive:
                worker = self._replace(worker)
            elif worker.num_tasks >= MAX_TASKS:
                worker = self._replace(worker, planned=True)
            self._idle.put(worker)

    def close(self) -> None:
        """Kills all processes; running tasks raise WorkerError."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.kill()

    def _start(self) -> "_Worker":
        return _Worker(self._module, self._memory)

    def _replace(self, worker: "_Worker", *, planned: bool = False) -> "_Worker":
        worker.kill()
        with self._lock:
            if self._closed:
                return worker
            self.num_restarts += not planned
            self._workers.remove(worker)
            self._workers.add(new := self._start())
        return new


class _Worker:
    """One worker process and the connection to it."""

    def __init__(self, module: str, memory: int):
        own_end, worker_end = socket.socketpair()
        with worker_end:
            program = "from dfjax.media import sandbox_worker; sandbox_worker.serve()"
            arguments = [module, str(worker_end.fileno()), str(memory)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", "-c", program, *arguments],
                env=_environment(),
                pass_fds=[worker_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C must not reach it: the server lets tasks finish
            )
        self._connection = Connection(own_end.detach())
        self._ready = False
        self.num_tasks = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and not self._connection.closed

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def wait_until_ready(self) -> None:
        if self._ready:
            return
        with self._killed_after(START_SECONDS):
            self._receive()
        self._ready = True

    def run(
        self,
        task: str,
        arguments: Mapping[str, Any],
        blobs: Sequence[bytes],
        seconds: float,
        progress: Callable[[float], None],
    ) -> tuple[dict[str, Any], Arrays]:
        self.wait_until_ready()
        self.num_tasks += 1
        with self._killed_after(seconds) as timed_out:
            try:
                self._send(task, arguments, blobs, seconds)
                while "progress" in (header := self._receive()):
                    progress(float(header["progress"]))
                if "error" in header:
                    raise MediaError(*map(str, header["error"]))
                return header["reply"], self._receive_arrays(header["arrays"])
            except (WorkerError, KeyError, TypeError, ValueError) as error:
                self.kill()
                raise self._reason(timed_out=timed_out.is_set()) from error

    def _reason(self, *, timed_out: bool) -> Exception:
        death = -self._process.returncode
        if timed_out or death == signal.SIGXCPU:
            return TimeLimitError("decoding took too long: give a shorter or smaller file")
        if death in _CRASHES:
            return MediaError("corrupt", "the decoder crashed: encode the file again")
        return WorkerError("the process that decoded the file died: try again")

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[threading.Event]:
        """Kills the process after `seconds` if the block still runs; then the event is set."""
        timed_out = threading.Event()

        def kill() -> None:
            timed_out.set()
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield timed_out
        finally:
            timer.cancel()

    def _send(
        self, task: str, arguments: Mapping[str, Any], blobs: Sequence[bytes], seconds: float
    ) -> None:
        header = {
            "task": task,
            "arguments": arguments,
            "num_blobs": len(blobs),
            "seconds": seconds,
        }
        try:
            self._connection.send_bytes(json.dumps(header).encode())
            for blob in blobs:
                self._connection.send_bytes(blob)
        except OSError as error:
            raise WorkerError("the worker process is gone") from error

    def _receive(self) -> dict[str, Any]:
        return json.loads(self._receive_bytes(_MAX_HEADER))

    def _receive_arrays(self, layout: list[tuple[str, str, list[int]]]) -> Arrays:
        arrays = {}
        for name, dtype, shape in layout:
            if dtype not in _DTYPES:
                raise ValueError(f"array of {dtype}")
            arrays[name] = np.frombuffer(self._receive_bytes(_MAX_ARRAY), dtype).reshape(shape)
        return arrays

    def _receive_bytes(self, max_size: int) -> bytes:
        try:
            return self._connection.recv_bytes(max_size)
        except (EOFError, OSError) as error:
            raise WorkerError("the worker process is gone") from error


def _environment() -> dict[str, str]:
    """The whole environment of a worker: where the packages are, and one thread."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        "OPENBLAS_NUM_THREADS": "1",  # a thread's memory counts, used or not
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.MAX_PIXELS),
        "OPENCV_LOG_LEVEL": "OFF",  # or a hostile file could fill the log
    }
