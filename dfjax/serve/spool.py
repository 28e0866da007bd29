"""Uploads on disk: one private folder per server, random names.

A file lives as long as its request. A server that starts removes what a killed one left.
"""

import contextlib
import fcntl
import os
import pathlib
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator

from dfjax.media.errors import MediaError

_PREFIX = "dfjax-serve-"
_LOCK = "lock"

# How accepted files begin: (offset, bytes, suffix). The decoder checks the rest.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (8, b"WEBP", ".webp"),
    (0, b"BM", ".bmp"),
    (8, b"AVI ", ".avi"),
    (0, b"\x1a\x45\xdf\xa3", ".mkv"),
    (188, b"\x47", ".ts"),  # the second of its packets
    *((4, kind, ".mp4") for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
)


class Spool:
    """The folder of one server, mode 0700; removed by `close`."""

    def __init__(self) -> None:
        remove_abandoned()
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = _take(self.path)

    @contextlib.contextmanager
    def file(self, data: bytes) -> Iterator[str]:
        """Yields the path of a file with these bytes, which lives as long as the context.

        Its suffix follows from the first bytes, never from the name that a client sends.

        Raises:
          MediaError: they do not begin like an accepted picture or video.
        """
        path = self.path / (secrets.token_hex(16) + suffix_of(data))
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
            yield str(path)
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def suffix_of(data: bytes) -> str:
    """Returns the suffix of the kind of file that begins like `data`.

    Raises:
      MediaError: it is empty, or begins like no accepted file.
    """
    if not data:
        raise MediaError("empty", "the file has no bytes: send it again")
    for offset, signature, suffix in _SIGNATURES:
        if data.startswith(signature, offset):
            return suffix
    accepted = "JPEG, PNG, WebP, BMP, mp4, mov, mkv, webm, avi and ts"
    raise MediaError("unsupported", f"the file is not one of {accepted}: convert it")


def remove_abandoned() -> None:
    """Removes the folders of servers of this user that no longer run."""
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            with contextlib.suppress(OSError):
                lock = _take(path)
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _take(path: pathlib.Path) -> int:
    """Locks a folder; OSError if its server runs. A lock ends with its process."""
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
