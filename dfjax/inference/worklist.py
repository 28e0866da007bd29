"""The files of a prediction and what became of each, on disk: a million of them take no memory."""

import hashlib
import json
import logging
import os
import pathlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from dfjax.errors import UserError
from dfjax.inference import sources as file_sources

_LOGGER = logging.getLogger("dfjax.inference")

_TABLES = """
CREATE TABLE files (number INTEGER PRIMARY KEY, place BLOB UNIQUE, path BLOB, row TEXT);
CREATE TABLE skipped (path BLOB PRIMARY KEY, reason TEXT);
CREATE TABLE known (key BLOB PRIMARY KEY, row TEXT);
"""

Row = dict[str, Any]


class Worklist(Sequence[Row]):
    """Files, each once, in the order in which they are named; as a sequence, their rows.

    It is a database in a file that nobody else sees and that goes with this object. One thread may
    use it.
    """

    def __init__(self) -> None:
        """Makes an empty list."""
        self._database = sqlite3.connect("", isolation_level=None)
        # Nothing has to survive: neither journal nor waiting for the disk.
        self._database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_TABLES}")

    def __len__(self) -> int:
        return self._one("SELECT count(*) FROM files")

    def __getitem__(self, index: int) -> Row:
        """Returns the row of a file, which has one."""
        row = self._one("SELECT row FROM files WHERE number = ?", range(1, len(self) + 1)[index])
        return json.loads(row)

    def __iter__(self) -> Iterator[Row]:
        for (row,) in self._database.execute("SELECT row FROM files ORDER BY number"):
            yield json.loads(row)

    def add(self, sources: Sequence[str]) -> None:
        """Adds the files that `sources` name (`sources.expand`).

        What is passed over is counted in one warning of the logger "dfjax.inference".

        Raises:
          UserError: the sources name no file, or a list is none.
        """
        for path in file_sources.expand(sources, self._skip):
            place = _digest(os.fsencode(os.path.abspath(path)))
            self._database.execute(
                "INSERT OR IGNORE INTO files (place, path) VALUES (?, ?)",
                (place, os.fsencode(path)),
            )
        note = file_sources.describe(self._skipped())
        if not len(self):
            raise UserError(
                f"no file in {', '.join(sources)}: give pictures or videos{note and f' ({note})'}"
            )
        if note:
            _LOGGER.warning("%s", note)

    def read_known(self, journal: pathlib.Path) -> None:
        """Reads the rows of an earlier run from its journal, if there is one."""
        if not journal.exists():
            return
        with journal.open() as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:  # the line that a killed run was writing
                    continue
                self._database.execute(
                    "INSERT OR REPLACE INTO known VALUES (?, ?)",
                    (_digest(entry["key"].encode()), json.dumps(entry["row"])),
                )

    def known(self, key: str) -> Row | None:
        """Returns the row of an earlier run under a key, None if there is none."""
        row = self._one("SELECT row FROM known WHERE key = ?", _digest(key.encode()))
        return None if row is None else json.loads(row)

    def files(self) -> Iterator[tuple[int, str]]:
        """Yields the number of each file, from 0, and its path."""
        for number, path in self._database.execute(
            "SELECT number, path FROM files ORDER BY number"
        ):
            yield number - 1, os.fsdecode(path)

    def finish(self, number: int, row: Row) -> None:
        """Notes the row of a file."""
        self._database.execute(
            "UPDATE files SET row = ? WHERE number = ?", (json.dumps(row), number + 1)
        )

    def _skip(self, path: str, reason: str) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO skipped VALUES (?, ?)", (os.fsencode(path), reason)
        )

    def _skipped(self) -> dict[str, tuple[int, list[str]]]:
        counts = self._database.execute("SELECT reason, count(*) FROM skipped GROUP BY reason")
        first = "SELECT path FROM skipped WHERE reason = ? ORDER BY rowid LIMIT ?"
        return {
            reason: (
                count,
                [
                    os.fsdecode(path)
                    for (path,) in self._database.execute(
                        first, (reason, file_sources.NAMES_IN_NOTE)
                    )
                ],
            )
            for reason, count in counts.fetchall()
        }

    def _one(self, query: str, *values: Any) -> Any:
        found = self._database.execute(query, values).fetchone()
        return None if found is None else found[0]


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]
