"""report.html for readers, report.md and report.tex for papers: all from the same tables."""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfjax import files
from dfjax.report import latex, markdown, page, results, tables
from dfjax.report.table import Table

HTML, MARKDOWN, LATEX = FILES = ("report.html", "report.md", "report.tex")


def write(folder: str | os.PathLike) -> None:
    """Writes `FILES` into a folder, of its report.json and, if it is there, its robustness.json."""
    folder = pathlib.Path(folder)
    report, robustness = results.read(folder)
    files.replace_text(folder / HTML, page.render_html(report, robustness) + "\n")
    files.replace_text(folder / MARKDOWN, _markdown(report, robustness))
    contents = (latex.table(table) for table in _tables(report, robustness))
    files.replace_text(folder / LATEX, "\n".join([latex.PREAMBLE, *contents]))


def _markdown(report: Mapping[str, Any], robustness: Mapping[str, Any] | None) -> str:
    parts = ["# Results\n", *map(markdown.table, _tables(report, robustness))]
    return "\n".join([*parts, "## Protocol\n", markdown.spelled_out(report["datasets"])])


def _tables(report: Mapping[str, Any], robustness: Mapping[str, Any] | None) -> Iterator[Table]:
    yield tables.overview(report)
    for dataset in report["datasets"]:
        yield from tables.of_dataset(dataset)
    if robustness:
        yield tables.robustness(robustness)
