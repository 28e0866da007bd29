"""What `dfjax prepare` prints at its end: what was written, how much of it, and what to mind."""

import rich.box
import rich.table

from dfjax import console
from dfjax.data import leaks
from dfjax.preparation import dataset_card, summary
from dfjax.preparation.summary import Coverage, PreparationSummary

_COLUMNS = ("clips", "failed", "no_face", "damaged", "frames", "coverage", "crops")


def print_summary(result: PreparationSummary) -> None:
    """Prints what was written and where, the coverage, and what a reader should mind."""
    output = console.make_console()
    state = "written to" if result.is_new else "complete since an earlier run in"
    if result.num_crops:
        output.print(f"{result.num_crops} crops {state} {result.dataset_dir}")
    else:
        output.print("no clip gave a crop: no dataset was written")
    if result.synthetic:
        output.print("synthetic: drawn by a program; scores say nothing about real forgeries")
    output.print(_make_table(result.coverage))
    for warning in _warnings(result):
        output.print(f"warning: {warning}", style="yellow")
    if result.own_boxes:
        output.print(f"fakes with boxes of their own, as no original fits: {result.own_boxes}")
    if result.num_errors:
        output.print(f"{result.num_errors} clips gave no crop: see {result.errors_file}")
    if result.audit:
        output.print(f"what is in it: {result.page}")


def _warnings(result: PreparationSummary) -> list[str]:
    warnings = summary.warnings(result.coverage, result.notes)
    if result.audit:
        warnings += dataset_card.warnings(result.out)
    if result.audit and result.audit.blocking:
        shared = leaks.describe(result.audit.blocking)
        warnings.append(f"{shared}: training refuses this dataset")
    return warnings


def _make_table(coverage: Coverage) -> rich.table.Table:
    table = rich.table.Table(
        title="coverage: share of the frames that gave a crop",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("split")
    table.add_column("class")
    for name in _COLUMNS:
        table.add_column(name.replace("_", " "), justify="right")
    for split, classes in coverage.items():
        for name, counts in classes.items():
            share = f"{summary.share_with_face(counts):.1%}" if counts["frames"] else "-"
            cells = {**counts, "coverage": share}
            table.add_row(split, name, *(f"{cells[column]}" for column in _COLUMNS))
    return table
