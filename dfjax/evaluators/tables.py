"""The results of an evaluation as tables, for a terminal or a log."""

from collections.abc import Sequence
from typing import Any

import rich.table

from dfjax import console
from dfjax.evaluators import conditions
from dfjax.metrics import groups

_COLUMNS = ("auc", "ap", "eer", "log_loss", "accuracy", "precision", "recall", "f1")


def print_results(results: dict[str, dict[str, Any]]) -> None:
    """Prints scores and verdicts of every target, and what a reader has to know of them."""
    output = console.make_console()
    for table in (_scores_table(results), _groups_table(results), _verdicts_table(results)):
        if table.rows:
            output.print(table)
    for target, result in results.items():
        for note in result["notes"]:
            output.print(f"{target}: {note}")


def _scores_table(results: dict[str, dict[str, Any]]) -> rich.table.Table:
    rules = dict.fromkeys(result["protocol"]["video_score"] for result in results.values())
    title = f"scores; of a video: {', '.join(rules)} (* see the notes below)"
    table = rich.table.Table(title=title)
    _add_columns(table, ("data", "level"), ("real", "fake", *_COLUMNS))
    for target, result in results.items():
        for level in ("frame", "video"):
            if level in result:
                _add_level(table, _marked(target, result), level, result[level])
        if result.get("trivial_cues"):
            _add_trivial_cues(table, result["trivial_cues"])
    return table


def _add_columns(table: rich.table.Table, texts: Sequence[str], numbers: Sequence[str]) -> None:
    for name in texts:
        table.add_column(name, overflow="fold")  # a path that is cut names nothing
    for name in numbers:
        table.add_column(name, justify="right")


def _add_level(table: rich.table.Table, name: str, level: str, measured: dict[str, Any]) -> None:
    counts = str(measured["real"]), str(measured["fake"])
    table.add_row(name, level, *counts, *_numbers(measured))
    if len(measured["methods"]) > 1:
        for method, part in measured["methods"].items():
            counts = str(measured["real"]), str(part["fake"])
            table.add_row("", f"  {method}", *counts, *_numbers(part))


def _numbers(measured: dict[str, Any]) -> list[str]:
    return ["-" if measured[name] is None else f"{measured[name]:.4f}" for name in _COLUMNS]


def _add_trivial_cues(table: rich.table.Table, cues: dict[str, Any]) -> None:
    used = f"{cues['crops']} of {cues['of']} crops"
    for name, aucs in cues["auc"].items():
        name = "the model" if name == "model" else f"trivial cues, {name}"
        for level, auc in aucs.items():
            if auc is not None:
                table.add_row(used, f"  {name}, {level}", "", "", f"{auc:.4f}")


def _groups_table(results: dict[str, dict[str, Any]]) -> rich.table.Table:
    """Results by what is known of clips; those by conditions of faces are in the report alone."""
    table = rich.table.Table(title=f"groups of clips (under {groups.FEW} of a class: in brackets)")
    _add_columns(table, ("data", "group"), ("real", "fake", *groups.RATES))
    for target, result in results.items():
        for found in result["groups"]["columns"]:
            if found["column"] not in conditions.CONDITIONS:
                _add_column(table, target, found)
    return table


def _add_column(table: rich.table.Table, target: str, found: dict[str, Any]) -> None:
    table.add_row(target, f"{found['column']}{': ' * ('note' in found)}{found.get('note', '')}")
    for row in found.get("groups", ()):
        rates = [_rate(row[rate]) for rate in groups.RATES]
        name = f"({row['group']})" if row["small"] else row["group"]
        table.add_row("", f"  {name}", str(row["real"]), str(row["fake"]), *rates)
    if figures := found.get("figures"):
        above = [f"{n} {each['value']:.3f}" for n, each in figures.items() if _is_above(each)]
        table.add_row("", f"  gaps above chance: {', '.join(above) or 'none'}")


def _is_above(figure: dict[str, float]) -> bool:
    """Whether a gap is larger than 95 % of random groupings make it."""
    return figure["value"] - figure["chance"] > 1e-9  # equal ones differ in their last bits


def _rate(measured: dict[str, float] | None) -> str:
    return "-" if measured is None else f"{measured['value']:.3f}"


def _verdicts_table(results: dict[str, dict[str, Any]]) -> rich.table.Table:
    table = rich.table.Table(title="verdicts on files, as predict and serve give them")
    rates = ("with a verdict", "reals called fake", "fakes called real")
    _add_columns(table, ("data", "kind"), ("files", *rates))
    for target, result in results.items():
        by_kind = result.get("verdicts", {})
        for kind in (kind for kind in by_kind if kind != "no_face"):
            measured = by_kind[kind]
            rates = [
                "-" if measured[name] is None else f"{measured[name]:.1%}"
                for name in ("coverage", "reals_called_fake", "fakes_called_real")
            ]
            table.add_row(_marked(target, result), kind, str(measured["files"]), *rates)
        if "no_face" in by_kind:
            table.add_row("", "no face", str(by_kind["no_face"]["files"]), "0.0%", "", "")
    return table


def _marked(target: str, result: dict[str, Any]) -> str:
    return f"{target} *" if result["notes"] else target
