"""The pool's ends of its processes: the zygote that forks, and a worker for one task."""

import contextlib
import logging
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax import console
from dfjax.media.errors import MediaError
from dfjax.sandbox import interpreter, messages, zygote
from dfjax.sandbox.errors import TimeLimitError, WorkerError
from dfjax.sandbox.messages import Arrays

_log = logging.getLogger(__name__)

START_SECONDS = 60.0  # to import the libraries on a busy machine

_STATUS_SECONDS = 5.0  # for the zygote to tell how a worker ended
_MAX_CODE, _MAX_MESSAGE, _MAX_STDERR = 50, 1000, 2000
# The signals that end a decoder which a file crashed. SIGKILL is not one of them: a machine short
# of memory sends it, whatever the file.
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class Zygote:
    """The process that forks workers, and the connection to it.

    Attributes:
      ready: it has imported its module.
    """

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
        """Whether it runs."""
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

    def fork(self) -> "Worker":
        """Returns a new worker; WorkerError if there is none."""
        try:
            return Worker(self._control)
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


class Worker:
    """One process for one task: the sockets to it, its stderr and its leash."""

    def __init__(self, control: socket.socket):
        """Has one forked, by the zygote at the other end of `control`; OSError if it cannot."""
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
        """Sends the task."""
        messages.send_json(self._work, header)
        for blob in blobs:
            messages.send(self._work, blob)

    def reply(
        self,
        max_bytes: int,
        progress: Callable[[float], None],
        answer: Callable[[np.ndarray], np.ndarray] | None,
    ) -> tuple[dict[str, Any], Arrays]:
        """Returns the answer; raises anything if there is none, or if it is nonsense.

        Raises:
          MediaError: the task raised it.
        """
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
