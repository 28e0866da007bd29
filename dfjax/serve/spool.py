"""Uploads on disk, in a private folder of the server, under random names.

A file lives as long as its request or its job. The folder also holds the jobs (`job_store`), and
outlives a server that is killed: the next one with the same folder goes on with them.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import pathlib
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Collection

from dfjax.errors import UserError
from dfjax.media import kind
from dfjax.serve.errors import RequestError

_PREFIX = "dfjax-serve-"
_LOCK, _UPLOADS = "lock", "uploads"
_ABANDONED_SECONDS = 3600.0  # after which a killed server is not expected back


@dataclasses.dataclass(frozen=True)
class Stored:
    """An upload on disk.

    Attributes:
      path: where it lies.
      name: as its sender calls it; text for the report, never part of a path.
      sha256: of its bytes.
      size: how many they are.
    """

    path: str
    name: str
    sha256: str
    size: int


class Spool:
    """The folder of one server, mode 0700.

    Attributes:
      path: the folder.
    """

    def __init__(self, path: str | os.PathLike | None = None, *, port: int = 0):
        """Takes the folder `path`; None: one below TMPDIR that belongs to this user and port.

        Raises:
          UserError: another server uses it, or it belongs to another user.
          OSError: it cannot be made.
        """
        self._is_temporary = path is None
        default = pathlib.Path(tempfile.gettempdir(), f"{_PREFIX}{os.geteuid()}-{port}")
        self.path = default if path is None else pathlib.Path(path)
        _make_private(self.path)
        try:
            self._lock = _take(self.path)
        except OSError as error:
            raise UserError(
                f"{self.path} is used by another server: give another folder"
            ) from error
        self._uploads = self.path / _UPLOADS
        self._uploads.mkdir(mode=0o700, exist_ok=True)
        remove_abandoned()  # not this one: it is locked now

    def store(self, data: bytes, name: str) -> Stored:
        """Returns a new file with these bytes.

        Raises:
          MediaError: they do not begin like an accepted picture or video.
          RequestError: the disk is full (507).
        """
        kind.kind_of_bytes(data)
        path = self._uploads / secrets.token_hex(16)
        try:
            self._write(path, data)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RequestError(
                    507, "storage_full", "the server's disk is full: try again", retry_after=30
                ) from error
            raise
        return Stored(str(path), name, hashlib.sha256(data).hexdigest(), len(data))

    def remove(self, stored: Stored) -> None:
        """Removes a file that may be gone already."""
        pathlib.Path(stored.path).unlink(missing_ok=True)

    def keep_only(self, paths: Collection[str]) -> None:
        """Removes the files that a killed server left, except these."""
        for path in self._uploads.iterdir():
            if str(path) not in paths:
                path.unlink()

    def touch(self) -> None:
        """Shows programs that clean temporary folders that this one is used."""
        for path in (self.path, self._uploads, *self.path.iterdir()):
            with contextlib.suppress(OSError):
                os.utime(path)

    def close(self, *, keep: bool) -> None:
        """Removes the folder if it is temporary and `keep` is False: there is no job in it."""
        if self._is_temporary and not keep:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def _write(self, path: pathlib.Path, data: bytes) -> None:
        self._uploads.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # a cleaner may have removed it
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)


def remove_abandoned() -> None:
    """Removes temporary folders of this user's servers that were killed some time ago."""
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # its server runs, or another one removes it
            status = path.lstat()
            mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if mine and status.st_mtime < time.time() - _ABANDONED_SECONDS:
                lock = _take(path)
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _make_private(path: pathlib.Path) -> None:
    """Makes a folder that only this user may enter, and refuses one that others could change."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise UserError(f"{path} is no folder of this user: give another with --state")
    path.chmod(0o700)


def _take(path: pathlib.Path) -> int:
    """Locks a folder; OSError if its server runs. A lock ends with its process."""
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
