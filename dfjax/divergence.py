"""What a run does when its loss or a gradient is no finite number, and what it writes down.

WORKDIR/divergence.jsonl has a line for each time: the `step`, what became of which value, the
`action`, and the `records` of the batch, so that somebody can look at them. Of a rollback,
`resumed` is the step that training went back to. The batches from there to the divergence are then
left out, or the same would happen again: batch n of the run is no longer batch n of the data.
"""

import json
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from dfjax import files
from dfjax.errors import UserError

ACTIONS = ("stop", "skip", "rollback")
MAX_ROLLBACKS = 3  # of a run: what diverges more often has another cause than a batch
FILE = "divergence.jsonl"


class DivergenceError(UserError):
    """A loss or a gradient is not finite.

    Attributes:
      step: the first such update.
      what: "loss" or "gradient norm".
      value: what it became, in words.
    """

    def __init__(self, message: str, *, step: int, what: str, value: float):
        super().__init__(message)
        self.step, self.what, self.value = step, what, str(value)


def require_known(action: str) -> None:
    """Raises UserError unless `action` is one of `ACTIONS`."""
    if action not in ACTIONS:
        raise UserError(f"on_divergence is {action!r}: use one of {', '.join(ACTIONS)}")


def read(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the lines of the file, oldest first; none if there is no such file."""
    path = workdir / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def batches_left_out(workdir: pathlib.Path) -> int:
    """Returns how many batches rollbacks have left out so far."""
    rolled_back = [row for row in read(workdir) if row["action"] == "rollback"]
    return sum(row["step"] - row["resumed"] for row in rolled_back)


def num_rollbacks(workdir: pathlib.Path) -> int:
    """Returns how often the run was rolled back so far."""
    return sum(row["action"] == "rollback" for row in read(workdir))


def note(workdir: pathlib.Path, **row: Any) -> None:
    """Adds a line, whole or not at all."""
    rows = [*read(workdir), row]
    files.replace_text(workdir / FILE, "".join(f"{json.dumps(each)}\n" for each in rows))


def check(
    numbers: Sequence[int],
    values: Sequence[dict[str, float]],
    skip: Callable[[int, str, float], None] | None,
) -> list[dict[str, float]]:
    """Returns the metrics of the steps that are finite, of a window of the log.

    Of others `skip` is told (step, what, value); they have changed nothing.

    Raises:
      DivergenceError: a step is not finite, and there is no `skip`; or no step of the window is.
    """
    finite = []
    for step, value in zip(numbers, values, strict=True):
        # The loss is that of the parameters before the update, the gradient makes the update: a
        # checkpoint of this step would be lost although its loss is finite.
        named = (("loss", value["loss"]), ("gradient norm", value["grad_norm"]))
        bad = next(((what, number) for what, number in named if not math.isfinite(number)), None)
        if bad is None:
            finite.append(value)
        elif skip is None:
            raise _diverged(step, *bad, window=numbers)
        else:
            skip(step, *bad)
    if numbers and not finite:
        raise _diverged(step, *bad, window=numbers)
    return finite


def _diverged(step: int, what: str, value: float, window: Sequence[int]) -> DivergenceError:
    return DivergenceError(
        f"the {what} became {value} at step {step}, within steps [{window[0]}, {window[-1]}], and "
        f"no checkpoint holds it: lower optimizer.lr in a new workdir (init_from takes a "
        f"checkpoint of this one), or look at the records, which {FILE} lists",
        step=step,
        what=what,
        value=value,
    )
