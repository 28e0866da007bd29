"""The program of a sandboxed process: it gives up its rights, then runs tasks for its parent.

`media.sandbox` starts it. The protocol, each line one message: a JSON header ({"task", "arguments",
"num_blobs", "seconds"}) and the blobs come in; any number of {"progress": share} go out, then
{"error": [code, message]}, or {"reply", "arrays"} and the bytes of each array.
"""

import contextlib
import ctypes
import importlib
import json
import math
import resource
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np

from dfjax.media.errors import MediaError

Arrays = dict[str, np.ndarray]
# (arguments, blobs, progress) -> (JSON, arrays)
Task = Callable[
    [dict[str, Any], Sequence[bytes], Callable[[float], None]], tuple[dict[str, Any], Arrays]
]

_MAX_DESCRIPTORS = 64
# <linux/prctl.h> and <linux/sched.h>
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def serve() -> None:
    """Runs tasks of the module `argv[1]` until the parent closes its end of descriptor `argv[2]`.

    `argv[3]` is the limit on memory, in bytes of address space.
    """
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
        send({"error": ("too_large", "decoding it needs too much memory: scale it down")})
        return
    layout = [(name, array.dtype.name, array.shape) for name, array in arrays.items()]
    send({"reply": reply, "arrays": layout})
    for array in arrays.values():
        connection.send_bytes(np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def _confine(memory: int) -> None:
    """Gives up what decoding does not need, as far as this system allows it."""
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
