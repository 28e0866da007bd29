"""Loaders that stand still say at which record, and those whose run has died end.

Storage may never answer. The run then waits without a word, and nobody knows for what.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from dfjax import console

SECONDS = 60.0  # a record that takes longer is spoken of

_Read = tuple[str, int, float]  # what, its number, since when

_reading: dict[int, _Read] = {}  # by thread
_is_watching = threading.Lock()


class Watched:
    """A sequence of records, as it is; one that does not come is named on the standard error."""

    def __init__(self, source: Sequence[Any], name: str):
        """`name` says what the records are, such as "training record"."""
        self._source, self._name = source, name

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> Any:
        thread = threading.get_ident()
        _watch()
        _reading[thread] = (self._name, row, time.monotonic())
        try:
            return self._source[row]
        finally:
            del _reading[thread]


def end_with_parent() -> None:
    """Makes this process, a loader, end when the one that started it has ended in any way."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)  # other threads may wait for it for ever

    threading.Thread(target=wait, name="end with parent", daemon=True).start()


def _watch() -> None:
    """Starts the thread that looks at what is being read, once in a process."""
    if _is_watching.acquire(blocking=False):
        threading.Thread(target=_look, name="stalled loader", daemon=True).start()


def _look() -> None:
    spoken: dict[int, _Read] = {}
    while True:
        time.sleep(SECONDS / 4)
        now = time.monotonic()
        for thread, read in list(_reading.items()):
            name, row, since = read
            if now - since < SECONDS or spoken.get(thread) == read:
                continue
            spoken[thread] = read
            who = f"{multiprocessing.current_process().name} (process {os.getpid()})"
            console.print_line(
                f"dfjax: note: {who} has waited {now - since:.0f} s for {name} {row}", error=True
            )
