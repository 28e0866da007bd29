"""Label files of corpora: text, JSON and CSV, read with the place of every line for messages."""

import csv
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from dfjax.errors import UserError

_MAX_BYTES = 2**28  # far more than any published label file has


def read_text(path: str | os.PathLike) -> str:
    """Returns the text of a label file.

    Raises:
      UserError: it is missing, too long, or not UTF-8.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path} is missing: put the owners' file there")
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} is over {_MAX_BYTES >> 20} MiB: give a label file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error}): download it again") from error


def read_lines(path: str | os.PathLike) -> list[tuple[str, str]]:
    """Returns (place, text) of every line that is not blank; the place is "file line 3"."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [(f"{path} line {number}", line.strip()) for number, line in lines if line.strip()]


def read_json(path: str | os.PathLike, kind: type = dict) -> Any:
    """Returns the content of a JSON file: a `kind`, in which no key occurs twice.

    Raises:
      UserError: it is something else.
    """
    try:
        content = json.loads(read_text(path), object_pairs_hook=_unique_keys)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): download it again") from error
    except KeyError as error:
        raise UserError(f"{path} has the key {error} twice: download it again") from error
    if not isinstance(content, kind):
        raise UserError(
            f"{path} holds a {type(content).__name__}, not a {kind.__name__}: download it again"
        )
    return content


def read_csv(path: str | os.PathLike, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Returns (place, row) of every row: "file line 3", and the cells of `columns` by name.

    The case of the header does not matter.

    Raises:
      UserError: it is not CSV, its header lacks one of `columns`, or a row is too short.
    """
    reader = csv.DictReader(read_text(path).splitlines(), skipinitialspace=True)
    rows = []
    try:
        header = reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if not set(columns) <= set(header):
            raise UserError(
                f"{path} has the columns {', '.join(header) or 'none'}: "
                f"{', '.join(columns)} are needed"
            )
        for row in reader:
            where = f"{path} line {reader.line_num}"
            if any(row[column] is None for column in columns):
                raise UserError(f"{where} has too few cells: download the file again")
            rows.append((where, {column: row[column].strip() for column in columns}))
    except csv.Error as error:
        raise UserError(f"{path} is not CSV ({error}): download it again") from error
    return rows


def relative_path(text: str, where: str) -> pathlib.PurePosixPath:
    r"""Returns a path from a label file, with "/" for "\"; `where` is its place, for messages.

    Raises:
      UserError: it is empty or leads out of the corpus.
    """
    path = pathlib.PurePosixPath(os.path.normpath(text.strip().replace("\\", "/")))
    if not text.strip() or "\0" in text or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: path {text!r}: paths start at the folder of the corpus")
    return path


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return content
