"""The command line and the tables of the benchmarks against PyTorch."""

import argparse
import dataclasses
import math
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from benchmarks import networks, turns
from benchmarks.networks import Network
from benchmarks.turns import Measurement
from dfjax import files
from dfjax.console import print_line
from dfjax.errors import UserError

Makers = Mapping[str, Callable[[Network], turns.Program]]
Measured = Mapping[str, Measurement]  # by the name of the program

RATIOS = (
    ("dfjax", "plain"),
    ("dfjax", "PyTorch"),
    ("dfjax", "PyTorch compiled"),
    ("dfjax bf16", "PyTorch bf16"),
)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Some columns of a table: a quantity of each program, and ratios of the programs.

    Attributes:
      value: of a measurement with so many images per step.
      saves: less is better, and the ratios say how many times less dfjax needs; else they are
        dfjax's share of what the other has.
    """

    title: str
    value: Callable[[Measurement, int], float]
    saves: bool = False

    def header(self, programs: Sequence[str]) -> list[str]:
        """Returns the title of each column."""
        ratios = [" / ".join(reversed(pair) if self.saves else pair) for pair in _pairs(programs)]
        first, *others = programs
        return [f"{self.title}: {first}", *others, *ratios]

    def cells(self, measured: Measured, batch: int) -> list[str]:
        """Returns what stands in each column."""
        values = {name: self.value(found, batch) for name, found in measured.items()}
        ratios = [_ratio(values[ours], values[theirs]) for ours, theirs in _pairs(measured)]
        if self.saves:
            ratios = [1 / ratio for ratio in ratios]
        shown = ["failed" if math.isnan(value) else show(value) for value in values.values()]
        return [*shown, *("–" if math.isnan(ratio) else f"{ratio:.2f}" for ratio in ratios)]


SPEEDS = (
    Quantity("images/s", lambda found, batch: batch / found.seconds),
    Quantity("CPU ms an image", lambda found, batch: 1e3 * found.cpu_seconds / batch, saves=True),
)
COSTS = (
    Quantity("seconds to compile", lambda found, _: found.compile_seconds),
    Quantity("peak memory, MB", lambda found, _: found.peak_bytes / 1e6),
)


def main(description: str, makers: Makers, default: Sequence[str]) -> None:
    """Prints a row of Markdown for each network as soon as it is measured, then what it cost."""
    parser = _make_parser(description, makers, default)
    arguments = parser.parse_args()
    try:
        chosen = [network for name in arguments.networks for network in networks.parse(name)]
    except UserError as error:
        parser.error(str(error))
    makers = {name: makers[name] for name in arguments.programs}
    effort = turns.Effort(arguments.rounds, arguments.turn, arguments.limit)
    report(chosen or networks.TABLE, makers, effort, arguments.json)


def report(
    chosen: Sequence[Network], makers: Makers, effort: turns.Effort, json: str | None = None
) -> None:
    """Measures networks and prints both tables; `json` is a file for all that was measured."""
    results: list[tuple[Network, Measured]] = []
    print_header(_titles(SPEEDS, list(makers)))
    for network in chosen:
        results.append((network, turns.measure(makers, network, effort)))
        _print_row(SPEEDS, *results[-1])
        _print_errors(*results[-1])
        if json:
            files.replace_json(json, [_as_json(*result) for result in results])
    print_line("")
    print_header(_titles(COSTS, list(makers)))
    for result in results:
        _print_row(COSTS, *result)
    print_line("")
    print_line(_conditions(effort))


def _make_parser(
    description: str, makers: Makers, default: Sequence[str]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    effort = turns.Effort()
    parser.add_argument(
        "networks", nargs="*", metavar="NAME[@SIDExBATCH]", help="networks to measure (the table's)"
    )
    parser.add_argument(
        "--programs",
        nargs="+",
        choices=tuple(makers),
        default=default,
        metavar="PROGRAM",
        help=f"which ones: {', '.join(map(repr, makers))} (%(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=effort.rounds, metavar="N", help="turns (%(default)s)"
    )
    parser.add_argument(
        "--turn",
        type=float,
        default=effort.turn,
        metavar="S",
        help="seconds that a turn takes at least (%(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=effort.limit,
        metavar="S",
        help="seconds of work after which a program takes no more turns (%(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="where to write all that was measured")
    return parser


def _pairs(programs: Sequence[str] | Measured) -> list[tuple[str, str]]:
    return [pair for pair in RATIOS if set(pair) <= set(programs)]


def print_header(columns: Sequence[str]) -> None:
    """Prints the head of a table in Markdown."""
    print_line(f"| {' | '.join(columns)} |")
    print_line(f"|{'---|' * len(columns)}")


def _titles(quantities: Sequence[Quantity], programs: Sequence[str]) -> list[str]:
    titles = [title for quantity in quantities for title in quantity.header(programs)]
    return ["network", "px", "batch", *titles]


def _print_row(quantities: Sequence[Quantity], network: Network, measured: Measured) -> None:
    cells = [cell for quantity in quantities for cell in quantity.cells(measured, network.batch)]
    print_line(f"| {' | '.join([network.name, f'{network.side}', f'{network.batch}', *cells])} |")


def _print_errors(network: Network, measured: Measured) -> None:
    for name, found in measured.items():
        if found.error:
            error = textwrap.shorten(found.error, 300)
            print_line(f"{network}, {name}: {error}", error=True)


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else math.nan


def show(value: float) -> str:
    """Returns a number with three digits; 0 and what is not a number are dashes."""
    if not value or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _as_json(network: Network, measured: Measured) -> dict[str, Any]:
    programs = {
        name: {key: value for key, value in dataclasses.asdict(found).items() if value == value}
        for name, found in measured.items()
    }
    return {**dataclasses.asdict(network), "programs": programs}


def _conditions(effort: turns.Effort) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "torch", "timm"))
    return (
        f"{len(os.sched_getaffinity(0))} cores; {versions}; medians of {effort.rounds} turns of "
        f"{effort.turn:g} s or more, up to {effort.limit:g} s for a program."
    )
