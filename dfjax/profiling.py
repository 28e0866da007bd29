"""A trace of some steps, in WORKDIR/profile: TensorBoard and xprof.dev open it."""

import pathlib
from typing import Any

import jax

from dfjax.errors import UserError

FOLDER = "profile"


def parse(text: str) -> range:
    """Returns the steps that "100:110" names: updates 100 to 109, from 0.

    Raises:
      UserError: it does not name any.
    """
    first, _, end = text.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise UserError(f"--profile={text}: give FIRST:END, steps from 0, such as 100:110")
    return range(int(first), int(end))


class Profiler:
    """Traces the steps of a range; a context manager that ends a trace that still runs."""

    def __init__(self, workdir: pathlib.Path, steps: range):
        self._folder, self._steps, self._is_tracing = workdir / FOLDER, steps, False

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop()

    def before(self, step: int, state: Any) -> None:
        """Begins or ends the trace, if the next update is the first, or the first after it."""
        if step in self._steps and not self._is_tracing:
            jax.profiler.start_trace(str(self._folder))
            self._is_tracing = True
        elif step not in self._steps and self._is_tracing:
            jax.block_until_ready(state)  # the device runs behind
            self._stop()

    def _stop(self) -> None:
        if self._is_tracing:
            jax.profiler.stop_trace()
            self._is_tracing = False
