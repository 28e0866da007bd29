"""Folders in object stores, by fsspec, which knows what reads gs://, s3:// and others, or here.

Credentials come from where each cloud's own tools have them; dfjax takes none. A call that fails is
tried again, because connections drop.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import re
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

from dfjax import checksums, console
from dfjax.errors import UserError

TRIES = 5
FIRST_WAIT = 0.5  # seconds; twice as long each time
CACHE = "DFJAX_CACHE"  # the variable that moves local copies
_URL = re.compile(r"[a-z][a-z0-9+.-]*://")
_DRIVERS = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "s3a": "s3fs"}

_Result = TypeVar("_Result")


def is_url(path: str | os.PathLike) -> bool:
    """Whether a path names a folder in a store: it begins with a scheme, such as s3://."""
    return _URL.match(os.fspath(path)) is not None


def local_copy(url: str) -> pathlib.Path:
    """Returns the folder of this machine for copies of what is at `url`."""
    base = pathlib.Path(os.environ.get(CACHE, "~/.cache/dfjax")).expanduser()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", url).strip("-")[-40:]
    return base / "buckets" / f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


class Folder:
    """A folder in a store, or of this machine; names are relative to it, with slashes."""

    def __init__(self, url: str):
        """Raises UserError if the package is missing that reads such a store."""
        import fsspec

        self.url = url.rstrip("/")
        self._is_local = not is_url(url)
        scheme = url.partition("://")[0]
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            package = _DRIVERS.get(scheme)
            remedy = "pip install 'dfjax[buckets]'" if package else "use gs:// or s3://"
            raise UserError(
                f"{url} cannot be opened ({console.one_line(error)}): {remedy}"
            ) from error

    def sizes(self, below: str = "") -> dict[str, int]:
        """Returns the bytes of every file below a folder of it, by name; empty if there is none."""
        root = f"{self._root}/{below}".rstrip("/")

        def find() -> dict[str, int]:
            self._fs.invalidate_cache()
            found = self._fs.find(root, detail=True)
            return {
                path.removeprefix(f"{self._root}/"): int(entry["size"])
                for path, entry in found.items()
                if not path.endswith("/")
            }

        return self._try(find, f"list {self.url}/{below}")

    def read(self, name: str) -> bytes | None:
        """Returns the content of a small file, None: there is no such file."""

        def cat() -> bytes | None:
            self._fs.invalidate_cache()
            try:
                return self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None

        return self._try(cat, f"read {self.url}/{name}")

    def get(self, name: str, path: pathlib.Path, sha256: str | None = None) -> None:
        """Copies a file to `path`, whole or not at all, and compares it with its SHA-256.

        Raises:
          DamagedError: the object is there, and is another.
          UserError: it cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{uuid.uuid4().hex}.{path.name}")

        def copy() -> None:
            self._fs.get_file(self._path(name), str(unfinished))
            if sha256 is None:
                return
            with unfinished.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise checksums.DamagedError(
                    f"{self.url}/{name} is damaged: its SHA-256 is not that of what was written"
                )

        try:
            self._try(copy, f"read {self.url}/{name}")
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def put(self, path: pathlib.Path, name: str) -> None:
        """Copies a file of this machine there; a reader sees the old or the new one.

        Raises:
          FileNotFoundError: `path` is gone.
          UserError: it cannot be written.
        """
        path.stat()
        self._write(name, lambda target: self._fs.put_file(str(path), target))

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file, as `put` does."""
        self._write(name, lambda target: self._fs.pipe_file(target, content))

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with everything in it; it need not be there."""

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm(self._path(name), recursive=True)

        self._try(remove, f"remove {self.url}/{name}")

    def move(self, name: str, target: str) -> None:
        """Moves a folder; what has the new names already is replaced."""
        for old in self.sizes(name):
            new = f"{target}/{old.removeprefix(f'{name}/')}"
            copy = functools.partial(self._fs.cp_file, self._path(old), self._path(new))
            self._try(copy, f"move {self.url}/{old}")
        self.remove(name)

    def _write(self, name: str, call: Callable[[str], None]) -> None:
        target = self._path(name)

        def write() -> None:
            if not self._is_local:  # a store shows an object when it is whole
                call(target)
                return
            unfinished = pathlib.Path(target).with_name(f".{uuid.uuid4().hex}.unfinished")
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            try:
                call(str(unfinished))
                os.replace(unfinished, target)
            finally:
                unfinished.unlink(missing_ok=True)

        try:
            self._try(write, f"write {self.url}/{name}")
        except FileNotFoundError as error:
            raise UserError(
                f"{self.url} cannot be written: there is no such bucket; make it first"
            ) from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _try(self, call: Callable[[], _Result], what: str) -> _Result:
        for number in range(TRIES):
            try:
                return call()
            except PermissionError as error:
                raise UserError(
                    f"{what}: not allowed ({console.one_line(error)}): log in by the cloud's own "
                    "tool, or give this account access"
                ) from error
            except (MemoryError, FileNotFoundError):
                raise
            except Exception as error:  # each driver has its own
                if number == TRIES - 1:
                    if isinstance(error, UserError):
                        raise
                    reason = console.one_line(error)
                    raise UserError(f"cannot {what} after {TRIES} tries: {reason}") from error
                time.sleep(FIRST_WAIT * 2**number)
        raise AssertionError
