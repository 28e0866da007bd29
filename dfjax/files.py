"""Files that appear whole or not at all: whatever reads them never sees half of one.

Everything that is written is UTF-8. A name of a file need not be: `legible` is how it is written.
Also what can be known of a folder before hours of work end with a write into it.
"""

import contextlib
import csv
import io
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from dfjax.errors import UserError

_SURROGATES = re.compile("[\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula can begin with


def legible(text: str) -> str:
    r"""Returns a text that UTF-8 can hold: bytes of a name that are no text become "\xe9".

    A name in Latin-1 or another old encoding reaches Python with such bytes as lone surrogates.
    """
    return text if text.isascii() else _SURROGATES.sub(_escape, text)


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a path to write; it takes the place of `path` when the block ends without an error.

    The path is next to `path` and ends like it. Folders on the way are made. After an error, and
    after Ctrl-C, `path` is as it was and nothing is left next to it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The number keeps two processes apart, the dot hides what a killed one left.
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def replace_text(path: str | os.PathLike, text: str) -> None:
    """Writes the file `path`, whole or not at all."""
    with replacing(path) as unfinished:
        unfinished.write_text(legible(text), encoding="utf-8")


def replace_json(path: str | os.PathLike, value: Any, *, sort_keys: bool = False) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    replace_text(path, json.dumps(value, indent=2, sort_keys=sort_keys) + "\n")


def replace_csv(
    path: str | os.PathLike, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a table with a first row of column names, whole or not at all.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        _write_csv(file, columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns a table as `replace_csv` writes it."""
    text = io.StringIO()
    _write_csv(text, columns, rows)
    return text.getvalue()


def _write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = csv.writer(file)
    table.writerow(_inert(columns))
    table.writerows(map(_inert, rows))


def original_cell(cell: str) -> str:
    """Returns a text as it was before `replace_csv` wrote it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def require_writable(folder: str | os.PathLike) -> None:
    """Checks by writing a file that `folder` can be written to, or made where it is missing.

    Raises:
      UserError: it cannot; the message says why.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UserError(f"{folder} is a file: give a folder")
    try:
        with tempfile.NamedTemporaryFile(dir=_existing(folder), prefix=".") as file:
            file.write(b"\n")
            file.flush()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror}): give a folder that can"
        ) from error


def require_file(path: str | os.PathLike) -> None:
    """Checks that a file is there, so that its absence is not told as a fault of its content.

    Raises:
      UserError: it is not.
    """
    if not pathlib.Path(path).is_file():
        raise UserError(f"{path} is no file, or not there: give one that is")


def require_replaceable(path: str | os.PathLike) -> None:
    """Checks that the file `path` can be written, as `require_writable` does of its folder.

    Raises:
      UserError: it cannot; the message says why.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder: give a file")
    require_writable(pathlib.Path(path).parent)


def require_space(folder: str | os.PathLike, num_bytes: float, what: str) -> None:
    """Checks that the disk of `folder`, which may be missing, has room for `num_bytes`.

    `what` says for what, plural.

    Raises:
      UserError: it has not; the message has both figures.
    """
    if shutil.disk_usage(_existing(folder)).free < num_bytes:
        raise UserError(
            f"{what} take {_show_bytes(num_bytes)}, and the disk of {folder} has "
            f"{free_space(folder)} left: make room, or give a folder on another disk"
        )


def free_space(folder: str | os.PathLike) -> str:
    """Returns what the disk of `folder`, which may be missing, has left: "1.5 GiB"."""
    return _show_bytes(shutil.disk_usage(_existing(folder)).free)


def _existing(folder: str | os.PathLike) -> pathlib.Path:
    """The folder, or the innermost one on the way to it that exists."""
    path = pathlib.Path(folder).absolute()
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def _show_bytes(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


def _inert(row: Sequence[Any]) -> list[Any]:
    """The cells of a row (OWASP's rule for CSV injection); numbers stay numbers, such as -1.5."""
    row = [legible(cell) if isinstance(cell, str) else cell for cell in row]
    return [f"'{cell}" if isinstance(cell, str) and cell[:1] in _FORMULA else cell for cell in row]


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
