"""Tables in Markdown of what was measured: a row for a network, columns for programs and ratios."""

import dataclasses
import importlib.util
import math
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata

from benchmarks import turns
from benchmarks.networks import Network
from benchmarks.turns import Measurement

Measured = Mapping[str, Measurement]  # by the name of the program

RATIOS = (
    ("dfjax", "plain"),
    ("dfjax", "PyTorch"),
    ("dfjax", "PyTorch compiled"),
    ("dfjax bf16", "PyTorch bf16"),
)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Some columns of a table: a quantity of each program, and the ratios of programs.

    Attributes:
      value: of a measurement with so many images per step.
      saved: the ratios say how many times less dfjax needs than the other, else how many times
        as much it has.
    """

    title: str
    value: Callable[[Measurement, int], float]
    saved: bool = False

    def titles(self, programs: Iterable[str]) -> list[str]:
        """Returns what stands above each column."""
        first, *others = programs
        return [f"{self.title}: {first}", *others, *map(" / ".join, self._ratios(programs))]

    def cells(self, measured: Measured, batch: int) -> list[str]:
        """Returns what stands in each column."""
        values = {name: self.value(found, batch) for name, found in measured.items()}
        ratios = [show_ratio(values[one], values[other]) for one, other in self._ratios(measured)]
        return [*map(show, values.values()), *ratios]

    def _ratios(self, programs: Iterable[str]) -> list[tuple[str, ...]]:
        pairs = [pair for pair in RATIOS if set(pair) <= set(programs)]
        return [pair[::-1] for pair in pairs] if self.saved else pairs


SPEEDS = (
    Quantity("images/s", lambda found, batch: batch / found.seconds),
    Quantity("CPU ms an image", lambda found, batch: 1e3 * found.cpu_seconds / batch, saved=True),
)
COSTS = (
    Quantity("seconds to compile", lambda found, _: found.compile_seconds),
    Quantity("peak memory, MB", lambda found, _: found.peak_bytes / 1e6),
)


def header(quantities: Sequence[Quantity], programs: Iterable[str]) -> list[str]:
    """Returns the two lines above the rows."""
    titles = [title for quantity in quantities for title in quantity.titles(programs)]
    return head("network", "px", "batch", *titles)


def row(quantities: Sequence[Quantity], network: Network, measured: Measured) -> str:
    """Returns the line of a network."""
    cells = [cell for quantity in quantities for cell in quantity.cells(measured, network.batch)]
    return line(network.name, network.side, network.batch, *cells)


def head(*titles: str) -> list[str]:
    """Returns the two lines that begin a table."""
    return [line(*titles), f"|{'---|' * len(titles)}"]


def line(*cells: object) -> str:
    """Returns a line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def show(value: float) -> str:
    """Returns a number by its first three digits, 0 as a dash, and NaN as "failed"."""
    if math.isnan(value):
        return "failed"
    if value == 0:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show_ratio(one: float, other: float) -> str:
    """Returns how many times the other it is, or a dash where one of them is missing."""
    return "–" if not other or math.isnan(one / other) else f"{one / other:.2f}"


def errors(network: Network, measured: Measured) -> list[str]:
    """Returns a line about each program that failed."""
    return [
        f"{network}, {name}: {textwrap.shorten(found.error, 300)}"
        for name, found in measured.items()
        if found.error
    ]


def conditions(effort: turns.Effort) -> str:
    """Returns the line that says under what conditions a table was measured."""
    packages = ("jax", "torch", "timm", "onnxruntime")
    installed = [name for name in packages if importlib.util.find_spec(name)]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in installed)
    return (
        f"{len(os.sched_getaffinity(0))} cores; {versions}; medians of {effort.rounds} turns of "
        f"{effort.turn:g} s or more, up to {effort.limit:g} s for a program."
    )
