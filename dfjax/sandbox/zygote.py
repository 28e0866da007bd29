"""The program behind a `pool.Sandbox`: imports a module once, then forks a worker for every task.

The zygote never sees an untrusted byte. For each task the pool sends it three descriptors: a socket
to the worker, the worker's stderr, and a leash. When the pool lets go of the leash, the worker is
killed; when a worker ends, its exit status goes up the leash.

Between pool and worker: a JSON header ({"task", "arguments", "num_blobs", "reads", "seconds"}) and
the blobs come in; any number of {"progress": share} and of {"question": layout} with an array go
out, and each question gets an array back; then {"error": [code, message]}, or {"reply", "layout"}
and the arrays.
"""

import contextlib
import functools
import gc
import importlib
import os
import select
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from dfjax.media.errors import MediaError
from dfjax.sandbox import confinement, messages
from dfjax.sandbox.messages import Arrays

STATUS = struct.Struct("!i")  # an exit status, or minus the signal
NUM_DESCRIPTORS = 3
LAYERS = "layers"  # a task that every module has: the names of the layers around a worker
_SPARE_SECONDS = 0.004  # a worker forked ahead that still has no task has time
_MAX_BLOB = 2**40  # the pool is trusted, and memory is limited


class Caller:
    """What a task may ask of the process that it works for."""

    def __init__(self, connection: socket.socket):
        self._connection = connection

    def progress(self, share: float) -> None:
        """Reports how much of the task is done, 0 to 1."""
        messages.send_json(self._connection, {"progress": share})

    def ask(self, question: np.ndarray) -> np.ndarray:
        """Returns what the `answer` of `Sandbox.run` gives for an array: it has what runs there."""
        layout = messages.layout_of({"question": question})
        messages.send_json(self._connection, {"question": layout})
        messages.send_arrays(self._connection, {"question": question})
        layout = messages.receive_json(self._connection)["layout"]
        return messages.receive_arrays(self._connection, layout, _MAX_BLOB)["answer"]


# (arguments, blobs, caller) -> (JSON, arrays)
Task = Callable[[dict[str, Any], Sequence[bytes], Caller], tuple[dict[str, Any], Arrays]]


def main() -> None:
    """Forks workers for the module `argv[1]`, until the pool closes its end of `argv[2]`.

    The module has `TASKS`, by name, `load`, which loads all that they need, and `touch`, which runs
    a little of it. `argv[3]` is the limit on a worker's memory, in bytes of address space.
    """
    module, descriptor, memory = sys.argv[1:]
    layers = confinement.give_up_privileges()
    tasks = importlib.import_module(module)
    # Once here instead of in every worker: the models of a face detector, imports inside functions.
    tasks.load()
    gc.collect()
    gc.freeze()  # or the first collection of every worker would copy all of this memory
    with socket.socket(fileno=int(descriptor)) as control:
        messages.send_json(control, {})
        _Zygote(control, tasks, int(memory), layers).serve()


class _Zygote:
    """Forks workers and tells how they ended. Has one thread: others would not survive a fork."""

    def __init__(
        self, control: socket.socket, tasks: ModuleType, memory: int, layers: tuple[str, ...]
    ):
        self._control, self._tasks, self._layers = control, tasks, layers
        self._confine = functools.partial(confinement.confine, memory=memory)
        self._selector, self._pid = selectors.DefaultSelector(), os.getpid()

    def serve(self) -> None:
        self._selector.register(self._control, selectors.EVENT_READ, self._fork)
        with contextlib.suppress(EOFError):
            while True:
                for key, _ in self._selector.select():
                    if key.fd in self._selector.get_map():  # else one before it in this list ended
                        key.data()
        os.killpg(0, signal.SIGKILL)  # nobody waits for the workers, nor for this process

    def _fork(self) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._control, 1, NUM_DESCRIPTORS)
        if not descriptors:
            raise EOFError("the pool is closed, or its process is gone")
        work, stderr, leash = descriptors
        # Only the worker has the writing end: it closes when the worker ends, however it does.
        ended, alive = os.pipe()
        try:
            pid = os.fork()
        except OSError:  # no process is left: closing the leash without a status says so
            for descriptor in (*descriptors, ended, alive):
                os.close(descriptor)
            return
        if pid == 0:
            self._work(work, stderr, keep=alive)
        for descriptor in (work, stderr, alive):
            os.close(descriptor)
        let_go = functools.partial(self._let_go, pid, leash)
        reap = functools.partial(self._reap, pid, leash, ended)
        self._selector.register(leash, selectors.EVENT_READ, let_go)
        self._selector.register(ended, selectors.EVENT_READ, reap)

    def _let_go(self, pid: int, leash: int) -> None:
        self._selector.unregister(leash)  # or it would be ready for ever
        _kill(pid)

    def _reap(self, pid: int, leash: int, ended: int) -> None:
        _kill(pid)  # one that only closed its end of the pipe is up to something
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._selector.unregister(ended)
        if leash in self._selector.get_map():
            self._selector.unregister(leash)
        with contextlib.suppress(OSError):
            os.write(leash, STATUS.pack(status))
        os.close(leash)
        os.close(ended)

    def _work(self, work: int, stderr: int, *, keep: int) -> NoReturn:
        """Becomes a worker; never returns."""
        status = 1
        try:
            self._serve_one(work, stderr, keep)
            status = 0
        except (EOFError, BrokenPipeError):  # nobody waits for the answer
            pass
        except BaseException:
            os.write(2, traceback.format_exc()[-2000:].encode(errors="replace"))
        finally:
            os._exit(status)

    def _serve_one(self, work: int, stderr: int, keep: int) -> None:
        os.dup2(stderr, 2)
        # Descriptors of the pool and of other workers are none of its business.
        low, high = sorted((work, keep))
        os.closerange(3, low)
        os.closerange(low + 1, high)
        os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))
        confinement.die_with(self._pid)
        with socket.socket(fileno=work) as connection:
            # A fork shares memory, and the first touch of each page takes time: better now, unless
            # the task is already there.
            if not select.select([connection], [], [], _SPARE_SECONDS)[0]:
                self._tasks.touch()
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        header = messages.receive_json(connection)
        layers = self._layers + self._confine(
            seconds=header["seconds"], readable=header["reads"], threads=header["threads"]
        )
        blobs = [messages.receive(connection, _MAX_BLOB) for _ in range(header["num_blobs"])]
        if header["task"] == LAYERS:
            reply, arrays = {"layers": layers}, {}
        else:
            task: Task = self._tasks.TASKS[header["task"]]
            try:
                reply, arrays = task(header["arguments"], blobs, Caller(connection))
            except MediaError as error:
                messages.send_json(connection, {"error": (error.code, str(error))})
                return
            except MemoryError:
                error = ("too_large", "decoding it needs too much memory: scale it down")
                messages.send_json(connection, {"error": error})
                return
            except (EOFError, BrokenPipeError):
                raise
            except Exception as error:  # a fault of the program that the file uncovered
                message = f"{type(error).__name__}: {error}"
                messages.send_json(connection, {"error": ("internal", message)})
                return
        layout = messages.layout_of(arrays)
        messages.send_json(connection, {"reply": reply, "layout": layout})
        messages.send_arrays(connection, arrays)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
