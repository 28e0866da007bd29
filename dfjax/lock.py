"""One run at a time writes into a workdir.

The lock is the kernel's (flock), on WORKDIR/.lock, which says whose it is. It ends with the process
that holds it, however that ends, so none has to be taken from the dead.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import socket
from collections.abc import Iterator

from dfjax import console, files, sharding
from dfjax.errors import InUseError

FILE = ".lock"


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a workdir, for all processes of this run, while the block runs.

    Raises:
      InUseError: another run holds it; the message names it.
    """
    with contextlib.ExitStack() as stack:
        sharding.from_first(lambda: stack.enter_context(_locked(workdir)))  # all end, or none
        yield


@contextlib.contextmanager
def _locked(workdir: pathlib.Path) -> Iterator[None]:
    files.require_writable(workdir)
    made = not workdir.exists()
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / FILE
    file = _open(path)
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)
        if made:
            with contextlib.suppress(OSError):  # it holds a run
                workdir.rmdir()


def _open(path: pathlib.Path) -> int:
    """The file descriptor of the lock, which is held."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(file, 4096, 0).decode(errors="replace")
            os.close(file)
            raise InUseError(
                f"{path.parent} is in use by another run ({_describe(owner)}): wait for it, stop "
                "it, or use a new --workdir"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            console.print_line(
                f"dfjax: note: {path.parent} cannot be locked ({error.strerror}): keep other runs "
                "out of it",
                error=True,
            )
        # Whoever held it before may have removed the file between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)


def _describe(owner: str) -> str:
    try:
        known = json.loads(owner)
        return f"process {known['pid']} on {known['host']}"
    except (ValueError, KeyError, TypeError):
        return "which has just begun"
