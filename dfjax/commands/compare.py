"""`dfjax compare`: two models on the same clips."""

import argparse
from typing import Any

from dfjax import files
from dfjax.commands import options


def add_to(subcommands: options.Subcommands) -> None:
    """Declares the command and its options."""
    parser = options.add_command(
        subcommands,
        "compare",
        help="compare two models by their scores of the same clips",
        description="Compare two models by their scores of the same clips, one score a clip: the "
        "difference of each metric with its interval (paired bootstrap), and DeLong's test of the "
        "AUCs.",
        run=_run,
    )
    for name in ("A", "B"):
        parser.add_argument(
            name.lower(), metavar=name, help="scores of a model, as dfjax report reads them"
        )
    parser.add_argument("--out", metavar="FILE", help="also write the comparison as JSON")


def _run(arguments: argparse.Namespace) -> int:
    from dfjax.evaluators import compare, score_table

    if arguments.out is not None:
        files.require_replaceable(arguments.out)
    for path in (arguments.a, arguments.b):
        files.require_file(path)
    found = compare.compare(*map(score_table.read, (arguments.a, arguments.b)))
    if arguments.out is not None:
        files.replace_json(arguments.out, {"a": arguments.a, "b": arguments.b, **found})
    _print(found, arguments)
    return 0


def _print(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    import rich.table

    from dfjax import console

    table = rich.table.Table(title="A and B on the same clips")
    for column in ("", "A", "B", "B - A", "95 % interval", "p"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in found["metrics"].items():
        difference = row["difference"]
        interval = f"{_show(difference['low'], '+')} to {_show(difference['high'], '+')}"
        values = _show(row["a"]["value"]), _show(row["b"]["value"])
        table.add_row(
            name, *values, _show(difference["value"], "+"), interval, _show(row["p_value"])
        )
    output = console.make_console()
    output.print(table)
    output.print(f"A: {arguments.a}\nB: {arguments.b}")
    output.print(
        f"{found['real']} real and {found['fake']} fake clips, {found['without_face']} left out "
        f"without a face; score of a clip: {found['rule']}; {found['interval']['draws']} resamples "
        f"of {found['interval']['resampled']}"
    )
    output.print(
        f"DeLong's test of the AUCs, which takes clips as independent: "
        f"p = {_show(found['delong']['p_value'])}"
    )


def _show(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
