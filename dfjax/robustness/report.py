"""The results as files and as a table on the terminal."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich.table

from dfjax import console, files
from dfjax.distortions.distortion import LEVELS
from dfjax.report import report as evaluation
from dfjax.report import results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JSON_FILE = results.ROBUSTNESS_FILE
CSV_FILE = "robustness.csv"
PLOT_FILE = "robustness.png"
FILES = (JSON_FILE, CSV_FILE, PLOT_FILE)

_COLUMNS = ("kind", "type", "level", "parameter", "auc", "low", "high", "without_face")
_KINDS = {"frames": "full frames", "crops": "stored crops"}
_PANELS_IN_A_ROW = 6


def write(out: pathlib.Path, result: Mapping[str, Any]) -> None:
    """Writes robustness.json, robustness.csv with a row per level, and the plot of both.

    In the folder of an evaluation, its report is written again, to show them.
    """
    files.replace_json(out / JSON_FILE, result)
    files.replace_csv(out / CSV_FILE, _COLUMNS, _rows(result))
    with files.replacing(out / PLOT_FILE) as unfinished:
        draw(result).savefig(unfinished, dpi=100)
    if (out / results.REPORT_FILE).is_file():
        evaluation.write(out)


def _rows(result: Mapping[str, Any]) -> Iterator[list[Any]]:
    for name, row in _with_clean(result):
        auc = [row["auc"][each] for each in ("value", "low", "high")]
        place = [result["kind"], name, row["level"], _text(row["parameter"])]
        yield [*place, *auc, row["without_face"]]


def _with_clean(result: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of the type and the numbers of each level, level 0 first."""
    yield "clean", {"level": 0, "parameter": "", **result["clean"]}
    for each in result["types"]:
        for level in each["levels"]:
            yield each["name"], level


def _text(parameter: Any) -> str:
    """A parameter, which may be several numbers, in one cell."""
    several = isinstance(parameter, Sequence) and not isinstance(parameter, str)
    return " ".join(map(str, parameter)) if several else str(parameter)


def title(result: Mapping[str, Any]) -> str:
    """Returns the heading of the table and of the plot."""
    synthetic = " (synthetic)" if result["synthetic"] else ""
    return f"AUC of clips of {result['data']}{synthetic}, {_KINDS[result['kind']]} distorted"


def print_table(result: Mapping[str, Any]) -> None:
    """Prints the AUC of each type and level, the means and the worst, and the notes.

    "no face" is the largest number of clips without a face at a level.
    """
    output = console.make_console()
    table = rich.table.Table(title=title(result))
    levels = [level["level"] for level in result["types"][0]["levels"]]
    table.add_column("type")
    for column in ("clean", *map(str, levels), "mean", "worst", "no face"):
        table.add_column(column, justify="right")
    clean = _number(result["clean"]["auc"]["value"])
    for each in result["types"]:
        values = [_number(level["auc"]["value"]) for level in each["levels"]]
        missing = str(max(level["without_face"] for level in each["levels"]))
        ends = _number(each["mean"]), _number(each["worst"]), missing
        table.add_row(each["name"], clean, *values, *ends)
    table.add_section()
    table.add_row(
        "all", clean, *[""] * len(levels), _number(result["mean"]), _number(result["worst"])
    )
    output.print(table)
    for note in result["notes"]:
        output.print(note)


def _number(value: float) -> str:
    return f"{value:.4f}"


def draw(result: Mapping[str, Any]) -> "Figure":
    """Returns the curve of each type over the levels, with its intervals, in a panel of its own."""
    from matplotlib.figure import Figure  # takes long to load

    types = result["types"]
    columns = min(_PANELS_IN_A_ROW, len(types))
    rows = -(-len(types) // columns)
    figure = Figure(figsize=(max(6.0, 2.2 * columns), 0.8 + 2.0 * rows), layout="constrained")
    figure.suptitle(title(result))
    figure.supxlabel("level (0: clean)")
    figure.supylabel("AUC")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, each in zip(axes, types, strict=False):
        _draw_type(ax, each, result["clean"])
    for ax in axes[len(types) :]:
        ax.set_axis_off()
    return figure


def _draw_type(ax: "Axes", measured: Mapping[str, Any], clean: Mapping[str, Any]) -> None:
    rows = [{"level": 0, **clean}, *measured["levels"]]
    level = [row["level"] for row in rows]
    value, low, high = ([row["auc"][name] for row in rows] for name in ("value", "low", "high"))
    ax.axhline(0.5, color="0.6", linestyle=":")
    ax.fill_between(level, low, high, alpha=0.2, linewidth=0)
    ax.plot(level, value, marker=".")
    ax.set(xticks=(0, *LEVELS), ylim=(0, 1.02))
    ax.set_title(f"{measured['name']}, mean {measured['mean']:.3f}", fontsize="small")
