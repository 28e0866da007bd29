"""Tables and lists as Markdown (GitHub's), in which no name from outside acts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dfjax import console
from dfjax.report import protocol
from dfjax.report.estimate import NONE
from dfjax.report.table import Cell, Row, Table

# What could open markup; an address would become a link by itself ("://", "www.").
_MARKUP = re.compile(r"[\\`*_{}\[\]<>|~&#!$@]|(?<=www)\.|:(?=//)", re.IGNORECASE)


def escape(text: str) -> str:
    """Returns Markdown that shows a text as it is, on one line."""
    return _MARKUP.sub(r"\\\g<0>", console.visible(text))


def table(content: Table) -> str:
    """Returns a title, a table, and the note on it."""
    rules = ("---:" if numeric else ":---" for numeric in content.numeric)
    rows = (_row(row, len(content.columns)) for row in content.rows)
    head = _line(map(escape, content.columns)), _line(rules)
    note = ["", escape(content.note)] if content.note else []
    return "\n".join([f"**{escape(content.title)}**", "", *head, *rows, *note]) + "\n"


def items(sentences: Iterable[str]) -> str:
    """Returns a list of sentences."""
    return "".join(f"- {escape(sentence)}\n" for sentence in sentences)


def spelled_out(datasets: Sequence[Mapping[str, Any]]) -> str:
    """Returns the protocol of several datasets: what is shared, then what is each one's own."""
    shared = protocol.shared(datasets)
    parts = [items(shared)]
    for dataset in datasets:
        if sentences := protocol.own(dataset, shared):
            parts.append(f"On {escape(dataset['name'])}:\n\n{items(sentences)}")
    return "\n".join(parts)


def facts(values: Mapping[str, str] | str) -> str:
    """Returns a list of names with values, or the text that stands for them."""
    if isinstance(values, str):
        return f"{escape(values)}\n"
    return "".join(f"- {escape(name)}: {escape(value)}\n" for name, value in values.items())


def _row(row: Row, num_columns: int) -> str:
    cells = [_cell(cell) for cell in row.cells]
    if row.kind == "heading":
        cells = [f"**{cells[0]}**"] + [""] * (num_columns - 1)
    if row.kind == "quiet":
        cells = [f"*{cell}*" for cell in cells]
    return _line(cells)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    return NONE if cell is None else escape(str(cell))
