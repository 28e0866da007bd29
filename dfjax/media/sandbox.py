"""Hostile bytes are decoded in processes of their own, which may do little and are killed freely.

A worker gets one task at a time, within limits on memory, processor time, files and descriptors. It
sees neither the parent's environment nor, where the kernel lets it give that up, a network. What
it answers is taken for hostile as well: JSON and plain arrays, never pickle.
"""

import concurrent.futures
import contextlib
import ctypes
import importlib
import json
import math
import os
import pathlib
import queue
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np

from dfjax.media import limits
from dfjax.media.errors import MediaError

Arrays = dict[str, np.ndarray]
# (arguments, blobs, progress) -> (JSON, arrays)
Task = Callable[
    [dict[str, Any], Sequence[bytes], Callable[[float], None]], tuple[dict[str, Any], Arrays]
]

MEMORY = 2 * 2**30  # bytes of address space: 0.4 GiB are libraries, the rest holds 32 frames of 4K
MAX_TASKS = 200  # then the process is replaced: what one file broke or leaked, ends
START_SECONDS = 60.0  # to import the libraries on a busy machine

_MAX_HEADER = 16 * 2**20  # bytes of JSON
_MAX_ARRAY = 512 * 2**20  # bytes: MAX_FACES in each of 32 frames, 256 pixels wide, are 192 MiB
_DTYPES = ("uint8", "int32", "float32", "float64")
_MAX_DESCRIPTORS = 64
# What a decoder dies of when a file gets the better of it. SIGKILL is what a machine short of
# memory sends: that one says nothing about the file.
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
# <linux/prctl.h> and <linux/sched.h>
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


class WorkerError(Exception):
    """The process that worked on a task is gone; the task says nothing about why."""


class TimeLimitError(Exception):
    """A task took longer than it may."""


class Sandbox:
    """A pool of worker processes; `run` may be called from several threads.

    Attributes:
      num_restarts: processes that were replaced because they died or were killed.
    """

    def __init__(self, module: str, *, workers: int, memory: int = MEMORY):
        """Starts `workers` processes that import `module`, whose dict `TASKS` is what they can do.

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
            raise RuntimeError(f"no process to decode in ({module}): {error}") from error
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
        """Returns what a task gives, waiting first for a worker that is free.

        The task may take `seconds`, on the clock and of the processor. `progress` is called, in the
        calling thread, with what the task reports.

        Raises:
          MediaError: raised by the task; or the bytes crashed the decoder.
          TimeLimitError: it took longer; its process was killed.
          WorkerError: its process is gone for another reason, or answers nonsense.
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
        """Kills all processes; running tasks end in WorkerError."""
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
    """One process and the connection to it."""

    def __init__(self, module: str, memory: int):
        ours, theirs = socket.socketpair()
        with theirs:
            program = "from dfjax.media import sandbox; sandbox.serve()"
            arguments = [module, str(theirs.fileno()), str(memory)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-B", "-c", program, *arguments],
                env=_environment(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the server, which lets tasks finish
            )
        self._connection = Connection(ours.detach())
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
        with self._killed_after(seconds) as late:
            try:
                self._send(task, arguments, blobs, seconds)
                while "progress" in (header := self._receive()):
                    progress(float(header["progress"]))
                if "error" in header:
                    raise MediaError(*map(str, header["error"]))
                return header["reply"], self._receive_arrays(header["arrays"])
            except (WorkerError, KeyError, TypeError, ValueError) as error:
                self.kill()
                raise self._reason(timed_out=late.is_set()) from error

    def _reason(self, *, timed_out: bool) -> Exception:
        death = -self._process.returncode
        if timed_out or death == signal.SIGXCPU:
            return TimeLimitError("it took too long: give a shorter or smaller file")
        if death in _CRASHES:
            return MediaError("corrupt", "the decoder crashed on it: encode the file anew")
        return WorkerError("the process that decoded it died: try again")

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[threading.Event]:
        """Kills the process if it is not done in time, and sets the event just before."""
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield late
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
            raise WorkerError("its process is gone") from error

    def _receive(self) -> dict[str, Any]:
        return json.loads(self._receive_bytes(_MAX_HEADER))

    def _receive_arrays(self, layout: list[tuple[str, str, list[int]]]) -> Arrays:
        arrays = {}
        for name, dtype, shape in layout:
            if dtype not in _DTYPES:
                raise ValueError(f"array of {dtype}")
            arrays[name] = np.frombuffer(self._receive_bytes(_MAX_ARRAY), dtype).reshape(shape)
        return arrays

    def _receive_bytes(self, most: int) -> bytes:
        try:
            return self._connection.recv_bytes(most)
        except (EOFError, OSError) as error:
            raise WorkerError("its process is gone") from error


def _environment() -> dict[str, str]:
    """What a worker may know: where the packages lie, and that it has one thread."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        "OPENBLAS_NUM_THREADS": "1",  # a thread's memory counts, used or not
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.MAX_PIXELS),
        "OPENCV_LOG_LEVEL": "OFF",  # a hostile file shall not fill the log
    }


def serve() -> None:
    """Runs tasks until the parent closes its end: the program of a worker process."""
    module, descriptor, memory = sys.argv[1:]
    _confine(int(memory))
    connection = Connection(int(descriptor))
    cv2.setNumThreads(1)
    tasks: dict[str, Task] = importlib.import_module(module).TASKS
    _forbid_processes()
    connection.send_bytes(b"{}")
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            request = json.loads(connection.recv_bytes())
            blobs = [connection.recv_bytes() for _ in range(request["num_blobs"])]
            _allow_processor_time(request["seconds"])
            _answer(connection, tasks[request["task"]], request["arguments"], blobs)


def _answer(
    connection: Connection, task: Task, arguments: dict[str, Any], blobs: list[bytes]
) -> None:
    def send(header: dict[str, Any]) -> None:
        connection.send_bytes(json.dumps(header).encode())

    try:
        reply, arrays = task(arguments, blobs, lambda share: send({"progress": share}))
    except MediaError as error:
        send({"error": (error.code, str(error))})
        return
    except MemoryError:
        send({"error": ("too_large", "it needs too much memory to decode: scale it down")})
        return
    layout = [(name, array.dtype.name, array.shape) for name, array in arrays.items()]
    send({"reply": reply, "arrays": layout})
    for array in arrays.values():
        connection.send_bytes(np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def _confine(memory: int) -> None:
    """Gives up what decoding does not need; what this system cannot give up, stays."""
    # Descriptors that are open already keep working; files cannot be written.
    bounds = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    bounds[resource.RLIMIT_NOFILE] = _MAX_DESCRIPTORS
    if sys.platform == "linux":
        bounds[resource.RLIMIT_AS] = memory
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # a network without interfaces
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _forbid_processes() -> None:
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _allow_processor_time(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))
