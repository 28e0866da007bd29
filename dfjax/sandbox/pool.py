"""Runs tasks on untrusted bytes, each in a process of its own that may be killed at any time.

Answers are not trusted either: they are JSON and plain arrays of bounded size, never pickle.
"""

import collections
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.media.errors import MediaError
from dfjax.sandbox import processes, zygote
from dfjax.sandbox.errors import CancelledTaskError, TimeLimitError, WorkerError
from dfjax.sandbox.messages import Arrays
from dfjax.sandbox.processes import Worker, Zygote

MEMORY = 2 * 2**30  # bytes of address space: 0.4 GiB are libraries, the rest holds 32 frames of 4K
MAX_BYTES = 256 * 2**20  # of all arrays of an answer: 32 faces in 32 frames, 256 pixels wide: 192

_SPARES = 2  # workers forked ahead: a fork and what follows take as long as a small picture
_PAUSE = 1.0  # seconds between two tries to start a zygote


class Cancellation:
    """Ends a task from another thread, whether it has begun or not."""

    def __init__(self) -> None:
        self.requested = False
        self._lock = threading.Lock()
        self._kill: Callable[[], None] | None = None

    def request(self) -> None:
        """Kills the task's process, at once or as soon as there is one."""
        with self._lock:
            self.requested = True
            if self._kill is not None:
                self._kill()

    @contextlib.contextmanager
    def calling(self, kill: Callable[[], None]) -> Iterator[None]:
        """For as long as the context lasts, `request` calls `kill`; an earlier one does so now."""
        with self._lock:
            self._kill = kill
            if self.requested:
                kill()
        try:
            yield
        finally:
            with self._lock:
                self._kill = None


class Sandbox:
    """A module whose tasks run in processes of their own; several threads may call `run`.

    Each call has a process at once: the caller bounds how many there are.

    Attributes:
      layers: what holds around each process, such as "landlock 7" and "seccomp".
      num_restarts: processes that died or were killed.
    """

    def __init__(self, module: str, *, memory: int = MEMORY):
        """Starts the zygote, which imports `module` (see `zygote.main` for what it has).

        `memory` is the limit of each process, in bytes of address space.

        Raises:
          RuntimeError: it does not start.
        """
        self.num_restarts = 0
        self._arguments = (module, memory)
        self._lock = threading.Lock()
        self._closed, self._tried = False, 0.0
        self._zygote: Zygote | None = None
        self._spares: collections.deque[Worker] = collections.deque()
        try:
            reply, _ = self.run(zygote.LAYERS, {}, seconds=processes.START_SECONDS)
        except (WorkerError, TimeLimitError) as error:
            self.close()
            raise RuntimeError(f"no worker process for {module} starts: {error}") from error
        self.layers: tuple[str, ...] = tuple(reply["layers"])

    @property
    def alive(self) -> bool:
        """Whether a task would begin at once."""
        return self._zygote is not None and self._zygote.ready and self._zygote.alive

    def revive(self) -> None:
        """Starts what died, so that the next task need not; WorkerError if it does not start."""
        with self._lock:
            self._living_zygote()

    def run(
        self,
        task: str,
        arguments: Mapping[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        seconds: float,
        reads: Sequence[str] = (),
        max_bytes: int = MAX_BYTES,
        threads: bool = False,
        progress: Callable[[float], None] | None = None,
        answer: Callable[[np.ndarray], np.ndarray] | None = None,
        cancellation: Cancellation | None = None,
    ) -> tuple[dict[str, Any], Arrays]:
        """Runs a task in a new process; returns its JSON reply and its arrays.

        The task may take `seconds` of wall time and of processor time, read the files at or below
        the paths `reads`, return arrays of `max_bytes`, and with `threads` start threads, as some
        encoders do. `progress` is called in this thread with each share (0 to 1) that it reports,
        and `answer` with each array that it asks about.

        Raises:
          MediaError: the task raised it, or the bytes crashed the decoder.
          TimeLimitError: the task took longer; its process was killed.
          CancelledTaskError: `cancellation` was requested; its process was killed.
          WorkerError: the process is gone for another reason, or its answer makes no sense.
        """
        header = {
            "task": task,
            "arguments": arguments,
            "num_blobs": len(blobs),
            "reads": [os.path.abspath(path) for path in reads],
            "seconds": seconds,
            "threads": threads,
        }
        cancellation = cancellation or Cancellation()
        worker = self._take_worker()
        try:
            with cancellation.calling(worker.kill), worker.killed_after(seconds) as timed_out:
                worker.ask(header, blobs)
                return worker.reply(max_bytes, progress or _ignore, answer)
        except MediaError:
            raise
        except Exception as error:  # a worker that a file took over may answer anything
            with self._lock:
                self.num_restarts += 1
            if cancellation.requested:
                raise CancelledTaskError from error
            raise worker.reason(timed_out=timed_out.is_set()) from error
        finally:
            worker.close()
            self._fork_ahead()

    def close(self) -> None:
        """Kills all processes; running tasks raise WorkerError, and so do later ones."""
        self._closed = True
        if (zygote := self._zygote) is not None:
            zygote.kill()  # without the lock: who holds it may be waiting for this process
        with self._lock:
            self._drop_spares()
            if self._zygote is not None:
                self._zygote.close()

    def _take_worker(self) -> Worker:
        with self._lock:
            living = self._living_zygote()
            while self._spares:
                worker = self._spares.popleft()
                if not worker.ended:
                    return worker
                worker.close()
                self.num_restarts += 1
            return living.fork()

    def _fork_ahead(self) -> None:
        """Forks workers for later tasks, while the caller goes on with the answer to this one."""
        with self._lock, contextlib.suppress(WorkerError):
            while self.alive and not self._closed and len(self._spares) < _SPARES:
                self._spares.append(self._zygote.fork())

    def _drop_spares(self) -> None:
        while self._spares:
            self._spares.pop().close()

    def _living_zygote(self) -> Zygote:
        """The zygote; a new one if it died, but no more than one try in `_PAUSE` seconds."""
        if not self.alive and not self._closed:
            if time.monotonic() < self._tried + _PAUSE:
                raise WorkerError("the process that decodes files is being started: try again")
            self._tried = time.monotonic()
            self._start()
        if self._closed:
            raise WorkerError("the sandbox is closed")
        return self._zygote

    def _start(self) -> None:
        if self._zygote is not None:
            self.num_restarts += 1
            self._drop_spares()  # they died with it
            self._zygote.close()
            self._zygote = None
        try:
            self._zygote = Zygote(*self._arguments)
        except OSError as error:  # no descriptor, no process, no memory: there may be one later
            raise WorkerError(f"no process starts ({error.strerror}): try again") from error
        if not self._closed:
            self._zygote.wait_until_ready()


def _ignore(_: float) -> None:
    pass
