"""Progress of long work: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from typing import Any

from rich import console as rich_console
from rich import progress as rich_progress

from dfjax import console

PLAIN_LINE_SECONDS = 20.0


class Progress:
    """A context manager that shows `description: done/total, rate, time left, fields`.

    Attributes:
      enabled: False shows nothing (processes other than the first).
    """

    def __init__(
        self, description: str, total: int, *, start: int = 0, unit: str = "", enabled: bool = True
    ):
        self._description = console.visible(description)
        self._total, self._start, self._unit = total, start, unit
        self._enabled = enabled
        self._console = rich_console.Console()
        self._began = self._spoke = time.monotonic()
        self._bar = None

    def __enter__(self) -> "Progress":
        if self._enabled and self._console.is_terminal:
            self._bar = rich_progress.Progress(
                rich_progress.TextColumn("{task.description}"),
                rich_progress.BarColumn(bar_width=24),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TextColumn("{task.fields[note]}"),
                rich_progress.TimeElapsedColumn(),
                rich_progress.TextColumn("left"),
                rich_progress.TimeRemainingColumn(),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._description, total=self._total, completed=self._start, note=""
            )
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, **fields: float | int | str) -> None:
        """Shows that `done` of the total are done, next to the named fields."""
        if not self._enabled:
            return
        note = "  ".join(f"{k} {_short(v)}" for k, v in fields.items())
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
            return
        now = time.monotonic()
        if now - self._spoke < PLAIN_LINE_SECONDS and done < self._total:
            return
        self._spoke = now
        rate = (done - self._start) / max(now - self._began, 1e-9)
        left = (self._total - done) / rate if rate > 0 else 0.0
        speed = f"{rate:.1f} {self._unit}/s" if self._unit else f"{rate:.1f}/s"
        parts = [f"{self._description} {done}/{self._total}", speed, f"left {left:.0f} s", note]
        console.print_line("  ".join(p for p in parts if p))


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else console.visible(value)
