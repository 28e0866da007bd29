"""Runs tasks on untrusted bytes, each in a process of its own that may be killed at any time.

Answers are not trusted either: they are JSON and plain arrays of bounded size, never pickle.
"""

import collections
import contextlib
import logging
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax import console
from dfjax.media.errors import MediaError
from dfjax.sandbox import interpreter, messages, zygote
from dfjax.sandbox.messages import Arrays

_log = logging.getLogger(__name__)

MEMORY = 2 * 2**30  # bytes of address space: 0.4 GiB are libraries, the rest holds 32 frames of 4K
MAX_BYTES = 256 * 2**20  # of all arrays of an answer: 32 faces in 32 frames, 256 pixels wide: 192
START_SECONDS = 60.0  # to import the libraries on a busy machine

_SPARES = 2  # workers forked ahead: a fork and what follows take as long as a small picture
_PAUSE = 1.0  # seconds between two tries to start a zygote
_STATUS_SECONDS = 5.0  # for the zygote to tell how a worker ended
_MAX_CODE, _MAX_MESSAGE, _MAX_STDERR = 50, 1000, 2000
# The signals that end a decoder which a file crashed. SIGKILL is not one of them: a machine short
# of memory sends it, whatever the file.
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class WorkerError(Exception):
    """The process that worked on a task is gone, for a reason that is not known to be the task."""


class TimeLimitError(Exception):
    """A task exceeded its time limit."""


class CancelledTaskError(Exception):
    """A task was cancelled by its `Cancellation`."""


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
        self._zygote: _Zygote | None = None
        self._spares: collections.deque[_Worker] = collections.deque()
        try:
            reply, _ = self.run(zygote.LAYERS, {}, seconds=START_SECONDS)
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
        progress: Callable[[float], None] | None = None,
        answer: Callable[[np.ndarray], np.ndarray] | None = None,
        cancellation: Cancellation | None = None,
    ) -> tuple[dict[str, Any], Arrays]:
        """Runs a task in a new process; returns its JSON reply and its arrays.

        The task may take `seconds` of wall time and of processor time, read the files at or below
        the paths `reads`, and return arrays of `max_bytes`. `progress` is called in this thread
        with each share (0 to 1) that it reports, and `answer` with each array that it asks about.

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

    def _take_worker(self) -> "_Worker":
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

    def _living_zygote(self) -> "_Zygote":
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
            self._zygote = _Zygote(*self._arguments)
        except OSError as error:  # no descriptor, no process, no memory: there may be one later
            raise WorkerError(f"no process starts ({error.strerror}): try again") from error
        if not self._closed:
            self._zygote.wait_until_ready()


class _Zygote:
    """The process that forks workers, and the connection to it."""

    def __init__(self, module: str, memory: int):
        """Starts it; OSError if it does not start."""
        self.ready = False
        self._control, its_end = socket.socketpair()
        program = "from dfjax.sandbox import zygote; zygote.main()"
        arguments = [module, str(its_end.fileno()), str(memory)]
        with its_end, contextlib.ExitStack() as on_error:
            on_error.callback(self._control.close)
            self._process = interpreter.start(program, arguments, keep=[its_end.fileno()])
            on_error.pop_all()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Returns when it has imported its module; WorkerError if it ends before."""
        self._control.settimeout(START_SECONDS)
        try:
            messages.receive_json(self._control)
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            raise WorkerError("it ended while it imported its module") from error
        self._control.settimeout(None)
        self.ready = True

    def fork(self) -> "_Worker":
        """Returns a new worker; WorkerError if there is none."""
        try:
            return _Worker(self._control)
        except OSError as error:
            raise WorkerError(f"no process starts ({error.strerror}): try again") from error

    def kill(self) -> None:
        """Kills it, and with it all workers; any thread may call this."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kills it, and closes the connection."""
        self.kill()
        self._control.close()


class _Worker:
    """One process for one task: the sockets to it, its stderr and its leash."""

    def __init__(self, control: socket.socket):
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            self._work, its_work = socket.socketpair()
            ours.callback(self._work.close)
            theirs.callback(its_work.close)
            self._leash, its_leash = socket.socketpair()
            ours.callback(self._leash.close)
            theirs.callback(its_leash.close)
            self._stderr, its_stderr = os.pipe()
            ours.callback(os.close, self._stderr)
            theirs.callback(os.close, its_stderr)
            # A full pipe must not block whoever writes there: the rest is lost.
            os.set_blocking(its_stderr, False)
            os.set_blocking(self._stderr, False)
            descriptors = [its_work.fileno(), its_stderr, its_leash.fileno()]
            socket.send_fds(control, [b"w"], descriptors)
            self._ours = ours.pop_all()

    @property
    def ended(self) -> bool:
        """Whether it ended, before or after its answer: its status is on the leash."""
        return bool(select.select([self._leash], [], [], 0)[0])

    def kill(self) -> None:
        """Lets go of the leash; any thread may call this."""
        for end, how in ((self._leash, socket.SHUT_WR), (self._work, socket.SHUT_RDWR)):
            with contextlib.suppress(OSError):
                end.shutdown(how)

    def close(self) -> None:
        """Kills the process if it still runs, and logs what it wrote to its stderr."""
        with contextlib.suppress(OSError):
            if text := os.read(self._stderr, _MAX_STDERR):
                _log.info("a worker wrote: %s", console.one_line(ascii(text.decode("latin-1"))))
        self._ours.close()

    def ask(self, header: Mapping[str, Any], blobs: Sequence[bytes]) -> None:
        messages.send_json(self._work, header)
        for blob in blobs:
            messages.send(self._work, blob)

    def reply(
        self,
        max_bytes: int,
        progress: Callable[[float], None],
        answer: Callable[[np.ndarray], np.ndarray] | None,
    ) -> tuple[dict[str, Any], Arrays]:
        while True:
            header = messages.receive_json(self._work)
            if "progress" in header:
                progress(float(header["progress"]))
            elif "question" in header and answer is not None:
                question = messages.receive_arrays(self._work, header["question"], max_bytes)
                self._answer(answer(question["question"]))
            elif "error" in header:
                code, message = header["error"]
                raise MediaError(str(code)[:_MAX_CODE], console.one_line(message)[:_MAX_MESSAGE])
            else:
                reply = header["reply"]
                if not isinstance(reply, dict):
                    raise ValueError("a reply that is not an object")
                return reply, messages.receive_arrays(self._work, header["layout"], max_bytes)

    def _answer(self, array: np.ndarray) -> None:
        arrays = {"answer": array}
        messages.send_json(self._work, {"layout": messages.layout_of(arrays)})
        messages.send_arrays(self._work, arrays)

    @contextlib.contextmanager
    def killed_after(self, seconds: float) -> Iterator[threading.Event]:
        """Kills the process after `seconds` if the block still runs; then the event is set."""
        timed_out = threading.Event()

        def kill() -> None:
            timed_out.set()
            self.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield timed_out
        finally:
            timer.cancel()

    def reason(self, *, timed_out: bool) -> Exception:
        """Returns why the process gave no answer; kills it if it still runs."""
        death = -self._status()
        if timed_out or death == signal.SIGXCPU:
            return TimeLimitError("decoding took too long: give a shorter or smaller file")
        if death in _CRASHES:
            return MediaError("corrupt", "the decoder crashed: encode the file again")
        return WorkerError("the process that decoded the file died: try again")

    def _status(self) -> int:
        """The exit status, or minus the signal; 0 if nobody knows."""
        self.kill()
        self._leash.settimeout(_STATUS_SECONDS)
        try:
            return zygote.STATUS.unpack(self._leash.recv(zygote.STATUS.size))[0]
        except (OSError, struct.error):
            return 0


def _ignore(_: float) -> None:
    pass
