r"""Tables as LaTeX, in which no name from outside acts; they need \usepackage{booktabs}."""

import re
from collections.abc import Iterable

from dfjax import console
from dfjax.report.estimate import NONE, Estimate, show
from dfjax.report.table import Cell, Row, Table

PREAMBLE = r"""% Needs \usepackage{booktabs}; names beyond Latin letters need XeLaTeX or LuaLaTeX.
% Define \interval before this file to show intervals otherwise, or not at all.
\providecommand{\interval}[2]{{\scriptsize\,(#1--#2)}}
"""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    **{character: f"\\{character}" for character in "{}$&#_%"},
    **{character: f"{{{character}}}" for character in "[]*-"},  # after \\, or as two, these act
}
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))


def escape(text: str) -> str:
    """Returns LaTeX that prints a text as it is, on one line."""
    return _PATTERN.sub(lambda found: _SPECIAL[found[0]], console.visible(text))


def table(content: Table) -> str:
    """Returns a table with its title and the note as the caption."""
    columns = "".join("r" if numeric else "l" for numeric in content.numeric)
    rows = (_row(row, len(content.columns)) for row in content.rows)
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{escape(_caption(content))}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(map(escape, content.columns)),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _caption(content: Table) -> str:
    return f"{content.title}. {content.note}" if content.note else content.title


def _row(row: Row, num_columns: int) -> str:
    cells = [_cell(cell) for cell in row.cells]
    if row.kind == "heading":
        cells = [rf"\multicolumn{{{num_columns}}}{{l}}{{\itshape {cells[0]}}}"]
    if row.kind == "quiet":
        cells = [rf"\textit{{{cell}}}" for cell in cells]
    return _line(cells)


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Estimate) and cell.interval:
        return rf"{cell.number}\interval{{{show(cell.low)}}}{{{show(cell.high)}}}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return escape(NONE if cell is None else str(cell))
