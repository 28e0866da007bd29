"""What happens when a scheduler takes the machine: SIGTERM, and little time."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import jax
from jax.experimental import multihost_utils

from dfjax.errors import PreemptedError


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Ends the block with PreemptedError at SIGTERM: what it writes is whole or not there."""

    def end(number: int, frame: FrameType | None) -> None:
        raise PreemptedError("asked to end (SIGTERM): the same command goes on")

    with _handling(end):
        yield


class Notice:
    """Whether a run was asked to end."""

    def __init__(self, asked: threading.Event):
        """`asked` is set at SIGTERM, in a run of one process."""
        self._asked = asked

    def is_given(self, step: int) -> bool:
        """Returns whether to end at this step.

        All processes ask at each step, and get the same answer: where one of several got the
        signal, JAX's preemption service agrees on a step that all of them still reach.
        """
        if jax.distributed.is_initialized():
            return multihost_utils.reached_preemption_sync_point(step)
        return self._asked.is_set()

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Ends the block with PreemptedError at SIGTERM, also at one that came before it.

        Not of several processes: those still have to agree on the step.
        """
        if jax.distributed.is_initialized():
            yield
            return
        with ending():
            if self._asked.is_set():
                raise PreemptedError
            yield


@contextlib.contextmanager
def noticed() -> Iterator[Notice]:
    """Yields the notice that SIGTERM gives while the block runs."""
    asked = threading.Event()
    with _handling(lambda number, frame: asked.set()):
        yield Notice(asked)


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # JAX's service listens itself, and Python lets the main thread alone set handlers.
    if jax.distributed.is_initialized() or not _is_main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
