"""Prepared data in a store: a local copy that fills shard by shard while training reads it.

What is small is copied when the data are opened. A shard is copied when its first record is read,
or before that by a thread that goes through all of them; each is compared with its SHA-256. Loaders
in several processes share the copy. Data that were prepared again are another copy.
"""

import bisect
import contextlib
import fcntl
import hashlib
import itertools
import os
import pathlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from dfjax import checksums, console
from dfjax.buckets import store
from dfjax.errors import UserError

_SHARD = ".array_record"


class Copy:
    """The local copy of the prepared data at a URL; processes that get it pickled share it.

    Attributes:
      path: the folder of this machine, as `dfjax prepare --out` would have made it.
    """

    def __init__(self, url: str, records: str):
        """Copies everything but the shards; `records` is the folder below `url` that has them.

        Raises:
          FileNotFoundError: there are no prepared data.
          UserError: they cannot be read, or are damaged.
        """
        self.url, self._records = url.rstrip("/"), records
        folder = store.Folder(f"{self.url}/{records}")
        listed = folder.read(checksums.FILE)
        if listed is None:
            raise FileNotFoundError(
                f"{url} holds no prepared dataset that is finished: run dfjax prepare --out {url} "
                "to its end"
            )
        version = hashlib.sha256(listed).hexdigest()[:12]
        self.path = store.local_copy(self.url) / version
        here = self.path / records
        here.mkdir(parents=True, exist_ok=True)
        if not (here / checksums.FILE).exists():
            (here / checksums.FILE).write_bytes(listed)
        self._sha256 = checksums.listed(here)
        for name in self._sha256:
            if _SHARD not in name:
                self.require(name)
        self._copy_what_lies_beside()

    def require(self, name: str) -> pathlib.Path:
        """Returns the local file `name`, which it copies first if it is not there.

        Raises:
          UserError: it cannot be read, or is damaged, in the store.
        """
        path = self.path / self._records / name
        if not path.exists():
            with _alone(path):
                if not path.exists():  # another process may have been faster
                    folder = store.Folder(f"{self.url}/{self._records}")
                    folder.get(name, path, self._sha256[name])
        return path

    def fill(self) -> None:
        """Starts to copy all shards, in a thread that ends with the process."""

        def copy() -> None:
            try:
                for name in self._sha256:
                    self.require(name)
            except (UserError, OSError) as error:  # who needs the shard will be told
                console.print_line(f"dfjax: note: {error}", error=True)

        threading.Thread(target=copy, name="copy shards", daemon=True).start()

    def _copy_what_lies_beside(self) -> None:
        """What describes the data and is no part of their records: card, audit, errors."""
        folder = store.Folder(self.url)
        for name in folder.sizes():
            if "/" not in name and not name.startswith("."):
                folder.get(name, self.path / name)


class Filling:
    """A sequence of records whose shards are copied when they are needed."""

    def __init__(self, source: Sequence[Any], copy: Copy, shards: Sequence[tuple[str, int]]):
        """`shards` are the names of its files and how many records each has, in order."""
        self._source, self._copy = source, copy
        self._names = [name for name, _ in shards]
        self._ends = list(itertools.accumulate(count for _, count in shards))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Any:
        self._copy.require(self._names[bisect.bisect_right(self._ends, index)])
        return self._source[index]


class Publication:
    """Prepared data on their way to a URL: made in a folder here, and copied as they come.

    Attributes:
      path: that folder; what an interrupted start left there is gone on with.
    """

    def __init__(self, url: str, records: str):
        """`records` is the folder below `url` for the records."""
        self._store, self._records = store.Folder(url), records
        self.path = store.local_copy(self._store.url) / "prepared"
        self._sent: set[str] = set()

    def require_free(self, *, overwrite: bool) -> None:
        """Checks that nothing is at the URL, or what is in the folder here, or may be replaced.

        Raises:
          UserError: there are other data.
        """
        there = self._store.read(f"{self._records}/{checksums.FILE}")
        here = self.path / self._records / checksums.FILE
        is_same = here.is_file() and here.read_bytes() == there
        if there is not None and not is_same and not overwrite:
            raise UserError(
                f"{self._store.url} holds prepared data that were not made here: choose another "
                "--out or add --overwrite"
            )

    def send_shard(self, path: pathlib.Path) -> None:
        """Copies a shard that is written to its end; what was there before counts no longer.

        Raises:
          UserError: the store cannot be written.
        """
        if not self._sent:
            self._store.remove(f"{self._records}/{checksums.FILE}")
        self._store.put(path, f"{self._records}/{path.name}")
        self._sent.add(path.name)

    def finish(self) -> None:
        """Copies the rest, and last what makes it count.

        Raises:
          UserError: the store cannot be written; the folder here stays.
        """
        folder = self.path / self._records
        if not checksums.is_in(folder):  # there was nothing to prepare
            return
        last = f"{self._records}/{checksums.FILE}"
        if self._store.read(last) != (folder / checksums.FILE).read_bytes():
            for name in checksums.listed(folder):
                if name not in self._sent:  # or by a start that was interrupted: nobody knows
                    self._store.put(folder / name, f"{self._records}/{name}")
        for path in sorted(self.path.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                self._store.put(path, path.name)
        self._store.put(folder / checksums.FILE, last)


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[None]:
    """Lets one process after the other into the block."""
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
