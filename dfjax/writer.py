"""Metric rows of a run: JSON lines always, and what `config.writers` names (`dfjax.writers`).

Process 0 writes. A writer whose package is missing is off, training goes on, and a line says so.
"""

import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dfjax import console, divergence, files, registry, utilisation
from dfjax import writers as writers  # registers them
from dfjax.errors import UserError

FILE_NAME = "metrics.jsonl"

Window = Sequence[tuple[int, Mapping[str, float]]]  # (step, its metrics by name)


class MetricWriter:
    """Appends rows of scalars to WORKDIR/metrics.jsonl, and gives them to other writers.

    A run that resumes at a step first drops the rows after it, so that the file is what an
    uninterrupted run would have written.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        *,
        resume_step: int,
        others: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ):
        """`others` are names of metric writers, which get the `config` of the run.

        Raises:
          UserError: there is no writer of such a name.
        """
        self._file, self._others = None, []
        if jax.process_index() > 0:
            return
        path = workdir / FILE_NAME
        for name in others:
            try:
                made = registry.build("metric writer", name, workdir=workdir, config=config or {})
            except ImportError as error:
                console.print_line(f"{name} is off ({error}); metrics go to {path}")
            else:
                self._others.append(made)
        rows = read_rows(workdir, to_step=resume_step)
        files.replace_text(path, "".join(json.dumps(row) + "\n" for row in rows))
        self._file = path.open("a")

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """One row: the step, and every scalar under its "group/name"."""
        if self._file is None:
            return
        self._file.write(json.dumps({"step": step, **scalars}) + "\n")
        self._file.flush()
        for other in self._others:
            other.write(step, scalars)

    def close(self) -> None:
        """Writes out what is still buffered."""
        if self._file is not None:
            self._file.close()
        for other in self._others:
            other.close()


def require_known(names: Sequence[str]) -> None:
    """Raises UserError unless each is the name of a metric writer."""
    known = registry.names("metric writer")
    for name in names:
        if name not in known:
            raise UserError(f"writers has {name!r}: use some of {', '.join(known)}")


def read_rows(workdir: pathlib.Path, *, to_step: int) -> list[dict[str, float]]:
    """The rows of steps up to `to_step`; a line cut short by a kill is not among them."""
    path = workdir / FILE_NAME
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return [row for row in rows if row["step"] <= to_step]


class StepLog:
    """Averages the metrics of steps over windows of `every` steps and writes one row for each.

    A window is read one step after it is full, so the device never waits for the host. Shares of
    time spent waiting for data and rates are written as perf/...; they alone differ between runs.
    """

    def __init__(
        self,
        writer: MetricWriter,
        *,
        every: int,
        batch_size: int,
        schedule: Callable[[int], float],
        window: Window = (),
        skip: Callable[[int, str, float], None] | None = None,
        operations: float = 0.0,
    ):
        """`window` is what the log of a run that failed had not written; this one goes on there.

        `skip` is told of updates that are not finite, and that were left out (`divergence.check`);
        without it, they end the run. A step is so many floating-point `operations` on a device.
        """
        self._skip, self._operations = skip, operations
        self._writer, self._every, self._batch_size = writer, every, batch_size
        self._schedule = schedule
        self._pending: list[tuple[int, Any]] = [(step, dict(values)) for step, values in window]
        self.latest: dict[str, float] = {}
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leaves out of the rates what happened since the last step (an evaluation, a save)."""
        self._began, self._waited, self._steps = time.monotonic(), 0.0, 0

    def add(self, step: int, step_metrics: Any, waited: float) -> None:
        """Takes the metrics of update `step`, which may still be running.

        `waited` is the time in seconds that the loop spent waiting for its batch.

        Raises:
          DivergenceError: a loss or a gradient of the last full window is not finite.
        """
        if self._pending and self._pending[-1][0] % self._every == 0:
            self.flush()
        if self._pending:
            jax.block_until_ready(self._pending[-1][1])  # at most one step ahead of the device
        self._pending.append((step, step_metrics))
        self._waited += waited
        self._steps += 1

    def summary(self) -> dict[str, float]:
        """What a progress line shows of the last window."""
        names = ("train/loss", "perf/images_per_second", "perf/data_wait_share")
        return {name.split("/")[1]: self.latest[name] for name in names if self.latest}

    def flush(self) -> None:
        """Writes the steps that are still waiting; blocks until they are done.

        Raises:
          DivergenceError: a loss or a gradient of theirs is not finite.
        """
        if not self._pending:
            return
        numbers, values = self._values()
        values = divergence.check(numbers, values, self._skip)
        self._pending = []
        means = {f"train/{k}": float(np.mean([v[k] for v in values])) for k in values[0]}
        elapsed = time.monotonic() - self._began
        self.latest = {
            **means,
            "train/lr": float(self._schedule(numbers[-1] - 1)),
            "perf/images_per_second": self._steps * self._batch_size / elapsed,
            "perf/data_wait_share": self._waited / elapsed,
            **utilisation.metrics(self._operations, self._steps / elapsed, jax.local_devices()[0]),
        }
        self._writer.write(numbers[-1], self.latest)
        self.restart_clock()

    def window(self) -> Window:
        """Returns the steps that wait to be written, as plain JSON, for a run that goes on here.

        Raises:
          DivergenceError: a loss or a gradient of theirs is not finite, and was not left out.
        """
        numbers, values = self._values()
        divergence.check(numbers, values, self._skip and (lambda *_: None))  # told once, by `flush`
        return list(zip(numbers, values, strict=True))

    def _values(self) -> tuple[list[int], list[dict[str, Any]]]:
        """The steps that wait to be written and their metrics; blocks until they are done."""
        numbers = [step for step, _ in self._pending]
        pending = jax.device_get([metrics for _, metrics in self._pending])
        values = [each if isinstance(each, dict) else each.compute() for each in pending]
        # As numbers of Python, or means would depend on what a resumed run got as JSON.
        return numbers, [{name: float(value) for name, value in each.items()} for each in values]
