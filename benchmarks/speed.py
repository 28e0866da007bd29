"""The command line of the benchmarks against PyTorch."""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import networks, tables, turns
from benchmarks.networks import Network
from dfjax import files
from dfjax.console import print_line

Makers = Mapping[str, Callable[[Network], turns.Program]]


def main(description: str, makers: Makers, default: Sequence[str]) -> None:
    """Prints a row of Markdown for each network as soon as it is measured, then what it cost."""
    arguments = _make_parser(description, makers, default).parse_args()
    chosen = [network for found in arguments.networks for network in found] or networks.TABLE
    makers = {name: makers[name] for name in arguments.programs}
    effort = turns.Effort(arguments.rounds, arguments.turn, arguments.limit)
    _print(*tables.header(tables.SPEEDS, makers))
    results: list[tuple[Network, tables.Measured]] = []
    for network in chosen:
        measured = turns.measure(makers, network, effort)
        results.append((network, measured))
        _print(tables.row(tables.SPEEDS, network, measured))
        _print(*tables.errors(network, measured), error=True)
        if arguments.json:
            files.replace_json(arguments.json, [_as_json(*result) for result in results])
    costs = [tables.row(tables.COSTS, *result) for result in results]
    _print("", *tables.header(tables.COSTS, makers), *costs, "", tables.conditions(effort))


def _make_parser(
    description: str, makers: Makers, default: Sequence[str]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    effort = turns.Effort()
    parser.add_argument(
        "networks",
        nargs="*",
        type=networks.parse,
        metavar="NAME[@SIDExBATCH]",
        help="of the model registry; alone, a name of the table (all of the table)",
    )
    parser.add_argument(
        "--programs",
        nargs="+",
        choices=tuple(makers),
        default=default,
        metavar="PROGRAM",
        help=f"of {', '.join(map(repr, makers))} ({', '.join(default)})",
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


def _print(*lines: str, error: bool = False) -> None:
    for line in lines:
        print_line(line, error=error)


def _as_json(network: Network, measured: tables.Measured) -> dict[str, Any]:
    programs = {
        name: {key: value for key, value in dataclasses.asdict(found).items() if value == value}
        for name, found in measured.items()
    }
    return {**dataclasses.asdict(network), "programs": programs}
