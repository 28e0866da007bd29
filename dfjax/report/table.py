"""What a table is, the same for the page, for Markdown and for LaTeX."""

import dataclasses
from typing import Literal

from dfjax.report.estimate import Estimate, Share

Cell = str | int | Estimate | Share | None


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table; its first cell says what the others are about.

    Attributes:
      cells: one for each column; of a heading, the first alone.
      kind: "heading" of the rows below it, or "quiet": of too few clips for a conclusion.
    """

    cells: tuple[Cell, ...]
    kind: Literal["", "heading", "quiet"] = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with its title, and a note on what it shows.

    Texts may come from outside: whoever writes the table escapes them.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column, whether it holds numbers: those are aligned on the right."""
        cells = [row.cells for row in self.rows if row.kind != "heading"]
        return tuple(
            any(isinstance(row[column], int | Estimate | Share) for row in cells)
            for column in range(len(self.columns))
        )
