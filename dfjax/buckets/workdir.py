"""A workdir in a store: a local copy that the run works in, and that the store follows.

Every few seconds what is finished here goes there: checkpoints first, each before the checksums
that make it count, then files that have changed. What is gone here goes there as well. A run that
starts takes what is newer: the store's copy, or a local one whose last upload did not come through.

One run at a time: `lease.json` in the store says whose, and until when unless it is renewed.
"""

import atexit
import contextlib
import json
import os
import pathlib
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from dfjax import checksums, console
from dfjax.buckets import store
from dfjax.errors import InUseError, UserError

EVERY_SECONDS = 5.0
LEASE = "lease.json"
LEASE_SECONDS = 120.0  # after so long without a renewal its owner is dead
_RENEW_SECONDS = 30.0
_CHECKPOINTS, _DAMAGED = "checkpoints", "damaged_checkpoints"
_NOT_COPIED = ("features",)  # what a run can make again, and is large

FromFirst = Callable[[Callable[[], Any]], Any]


class Workdir:
    """A folder that a run works in.

    Attributes:
      path: the folder. Of several processes and a URL, that of the first, which alone uses it.
    """

    def __init__(self, path: pathlib.Path, mirror: "_Mirror | None", from_first: FromFirst):
        self.path, self._mirror, self._from_first = path, mirror, from_first

    def to_read(self) -> pathlib.Path:
        """Returns a folder with everything that is in it now; all processes call it.

        Raises:
          UserError: the store cannot be written or read.
        """
        if self._mirror is None:
            return self.path
        self._from_first(self._mirror.push)
        return self.path if self._mirror.is_used else pathlib.Path(fetched(self._mirror.url))


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, from_first: FromFirst = lambda make: make()
) -> Iterator[Workdir]:
    """Yields what to work in: the folder `path`, or a local copy of a URL, which the store follows.

    When the block ends everything is in the store, also after an error. Of several processes,
    `from_first` calls a function in the first and raises its errors in all (`sharding.from_first`).

    Raises:
      InUseError: another run works there.
      UserError: the store cannot be read, or written at the end; the local copy then stays, and the
        same command goes on from it on this machine.
    """
    if not store.is_url(path):
        yield Workdir(pathlib.Path(path), None, from_first)
        return
    mirror = _Mirror(os.fspath(path))
    with contextlib.ExitStack() as stack:
        from_first(lambda: stack.enter_context(mirror.used()))
        yield Workdir(mirror.local, mirror, from_first)


def fetched(path: str | os.PathLike) -> str:
    """Returns a folder with what is at `path` now, to be read: itself, or a copy of a URL.

    The copy goes when the process ends.

    Raises:
      UserError: the store cannot be read.
    """
    if not store.is_url(path):
        return os.fspath(path)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dfjax-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _Mirror(os.fspath(path), folder).fetch()
    return str(folder)


class _Mirror:
    def __init__(self, url: str, local: pathlib.Path | None = None):
        self._store = store.Folder(url)
        self.local = store.local_copy(self._store.url) if local is None else local
        self._pushed: dict[str, tuple[int, int]] = {}  # (size, time of change) by name
        self._id = uuid.uuid4().hex
        self._renewed = 0.0
        self._pushing = threading.Lock()
        self.is_used = False

    @property
    def url(self) -> str:
        return self._store.url

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Holds the lease, and makes the store follow the local copy, while the block runs."""
        with self.leased():
            self.fetch()
            self.is_used = True
            with self.following():
                yield

    def fetch(self) -> None:
        """Makes the local copy the newer one of both."""
        there = self._store.sizes()
        self._pushed = dict.fromkeys(there, (-1, -1))  # what it is, is not known yet
        finished = _finished(there)
        here = _steps(self.local / _CHECKPOINTS)
        if here and max(here) >= max(finished, default=-1):
            return
        if not there and self.local.is_dir() and any(self.local.iterdir()):
            return  # a run whose first upload did not come through
        shutil.rmtree(self.local, ignore_errors=True)
        self.local.mkdir(parents=True)
        for step in finished:
            self._fetch_checkpoint(step)
        others = [
            name for name in there if not _is_left(name) and not name.startswith(f"{_CHECKPOINTS}/")
        ]
        for name in others:
            self._store.get(name, self.local / name)
            self._pushed[name] = _stamp(self.local / name)

    def _fetch_checkpoint(self, step: int) -> None:
        name = f"{_CHECKPOINTS}/{step}"
        folder = self.local / name
        try:
            self._store.get(f"{name}/{checksums.FILE}", folder / checksums.FILE)
            for file, sha256 in checksums.listed(folder).items():
                self._store.get(f"{name}/{file}", folder / file, sha256)
        except (checksums.DamagedError, FileNotFoundError) as error:
            shutil.rmtree(folder)
            self._store.move(name, f"{_DAMAGED}/{step}")
            moved = f"moved to {self._store.url}/{_DAMAGED}/{step}"
            console.print_line(f"dfjax: note: {error}: {moved}", error=True)
            return
        for path in folder.rglob("*"):
            if path.is_file():
                self._pushed[self._name(path)] = _stamp(path)

    def push(self) -> None:
        """Makes the store's copy the same as the local one.

        Raises:
          UserError: the store cannot be written.
        """
        with self._pushing:
            self._push()

    def _push(self) -> None:
        checkpoints = self.local / _CHECKPOINTS
        finished = [
            step for step in _steps(checkpoints) if checksums.is_in(checkpoints / str(step))
        ]
        # Before the checkpoints that are finished by now: a run that goes on at one of them needs
        # the rows of metrics that lead there.
        for name in map(self._name, _files(self.local)):
            if not _is_left(name) and not name.startswith(f"{_CHECKPOINTS}/"):
                self._put(name)
        for step in finished:
            last = f"{_CHECKPOINTS}/{step}/{checksums.FILE}"
            names = map(self._name, _files(checkpoints / str(step)))
            for name in [*(name for name in names if name != last), last]:
                self._put(name)
        self._remove_what_is_gone()
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            self._renew()

    def _name(self, path: pathlib.Path) -> str:
        return path.relative_to(self.local).as_posix()

    def _put(self, name: str) -> None:
        try:
            stamp = _stamp(self.local / name)
            if self._pushed.get(name) != stamp:
                self._store.put(self.local / name, name)
                self._pushed[name] = stamp
        except FileNotFoundError:  # a checkpoint that the run has just deleted
            return

    def _remove_what_is_gone(self) -> None:
        here = set(_steps(self.local / _CHECKPOINTS))
        there = {_step_of(name) for name in self._pushed} - {None}
        for step in there - here:
            # Its checksums first: half a checkpoint must not count.
            self._store.remove(f"{_CHECKPOINTS}/{step}/{checksums.FILE}")
            self._store.remove(f"{_CHECKPOINTS}/{step}")
            self._pushed = {name: s for name, s in self._pushed.items() if _step_of(name) != step}

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Pushes now and then while the block runs, and at its end."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(EVERY_SECONDS):
                try:
                    self.push()
                except UserError as error:  # later is soon enough
                    console.print_line(f"dfjax: note: {error}: tried again later", error=True)

        thread = threading.Thread(target=follow, name="upload", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            try:
                self.push()
            except UserError as error:
                raise UserError(
                    f"{error}; everything is in {self.local}, and the same command on this machine "
                    "goes on from there"
                ) from error

    @contextlib.contextmanager
    def leased(self) -> Iterator[None]:
        """Holds the lease while the block runs."""
        self._require_free()
        self._renew()
        time.sleep(0.2)  # whoever wrote at the same moment has done so by now
        self._require_free()
        try:
            yield
        finally:
            with contextlib.suppress(UserError):
                self._store.remove(LEASE)

    def _require_free(self) -> None:
        content = self._store.read(LEASE)
        try:
            owner = json.loads(content) if content else {}
            is_free = owner.get("id") in (None, self._id) or (
                time.time() - owner["renewed"] > LEASE_SECONDS
            )
        except (ValueError, KeyError, TypeError):
            return  # nobody can tell whose it is
        if not is_free:
            raise InUseError(
                f"{self._store.url} is in use by another run (process {owner.get('pid')} on "
                f"{owner.get('host')}): wait for it, stop it, or use a new --workdir; a run that "
                f"died holds it for {LEASE_SECONDS:.0f} s"
            )

    def _renew(self) -> None:
        owner = {"id": self._id, "host": socket.gethostname(), "pid": os.getpid()}
        content = json.dumps({**owner, "renewed": round(time.time(), 1)}).encode()
        self._store.write(LEASE, content)
        self._renewed = time.monotonic()


def _finished(names: Iterator[str] | dict[str, int]) -> list[int]:
    """The steps of checkpoints that count, in rising order."""
    last = f"/{checksums.FILE}"
    return sorted(
        step for name in names if (step := _step_of(name)) is not None and name.endswith(last)
    )


def _step_of(name: str) -> int | None:
    parts = name.split("/")
    is_step = len(parts) > 2 and parts[0] == _CHECKPOINTS and parts[1].isdecimal()
    return int(parts[1]) if is_step else None


def _steps(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal())


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_left(name: str) -> bool:
    """Whether a file stays on its side: what is hidden, unfinished, or can be made again."""
    parts = name.split("/")
    return name == LEASE or parts[0] in _NOT_COPIED or any(part.startswith(".") for part in parts)


def _stamp(path: pathlib.Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
