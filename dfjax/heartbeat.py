"""WORKDIR/status.json: what a run does at this moment, for whoever watches many of them.

    state            training, finished, saved (asked to end), or failed
    step, num_steps  updates done, and to do in all
    images_per_second, seconds_left   of the last window of the log; null before the first
    last_checkpoint  the step of the newest one that is finished; null: none
    error            why it failed, in one line; null otherwise
    host, pid        of process 0
    updated          seconds since 1970; a state that does not end and is old is a run that died

The file is replaced whole, every `EVERY_SECONDS` at most while it trains. How it is, the file says;
whether it lives, its age.
"""

import os
import pathlib
import socket
import time
from types import TracebackType
from typing import Any

import jax

from dfjax import console, files

FILE = "status.json"
EVERY_SECONDS = 10.0


class Heartbeat:
    """A context manager that keeps the file; of several processes, the first does."""

    def __init__(self, workdir: pathlib.Path, *, start: int, num_steps: int):
        """A run that begins, or goes on, at step `start`."""
        self._path = workdir / FILE
        self._written = 0.0
        self._status: dict[str, Any] = {
            "state": "training",
            "step": start,
            "num_steps": num_steps,
            "images_per_second": None,
            "seconds_left": None,
            "last_checkpoint": start or None,
            "error": None,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }

    def __enter__(self) -> "Heartbeat":
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._say("failed", error=console.one_line(error) or type(error).__name__)

    def end(self, step: int, *, is_finished: bool) -> None:
        """Says that the run is finished, or saved and to be continued, at `step`."""
        state = "finished" if is_finished else "saved"
        self._say(state, step=step, seconds_left=None, last_checkpoint=step)

    def beat(self, step: int, batch_size: int, rate: float | None, checkpoint: int | None) -> None:
        """Says that `step` updates are done, if the file is not of just now.

        `rate` is in images a second, None: not known yet. `checkpoint` is the newest step on disk.
        """
        if time.monotonic() - self._written < EVERY_SECONDS:
            return
        left = (self._status["num_steps"] - step) * batch_size / rate if rate else None
        self._say(
            "training",
            step=step,
            images_per_second=None if rate is None else round(rate, 2),
            seconds_left=None if left is None else round(left),
            last_checkpoint=checkpoint,
        )

    def _say(self, state: str, **changed: Any) -> None:
        self._status |= {"state": state, **changed}
        self._write()

    def _write(self) -> None:
        if jax.process_index() == 0:
            files.replace_json(self._path, {**self._status, "updated": round(time.time(), 1)})
            self._written = time.monotonic()
