r"""Lists and tables that people write: text files with one path per line, and CSV with a header.

They come from spreadsheets and editors of any system: UTF-8 with or without a byte order mark,
UTF-16, lines that end in LF, CRLF or CR, cells parted by commas, semicolons or tabs, "\" between
folders, names in quotes, rows of empty cells. A line that begins with "#" is a comment: write
"./#1.mp4" for a file of that name.
"""

import codecs
import collections
import contextlib
import csv
import io
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator, Sequence

from dfjax.errors import UserError

_MAX_BYTES = 2**28  # far more than any published label file has
_MAX_LINE = 2**15  # characters; a path has 4096 bytes at most
_DELIMITERS = ",;\t"
_NO_ROW = re.compile(r"#|sep=.?$")  # a comment, or what tells a spreadsheet the delimiter
_OLD_BYTES = re.compile("[\udc80-\udcff]")  # how bytes of a name that are not UTF-8 reach Python


def read_text(path: str | os.PathLike) -> str:
    """Returns the text of a list, a table or a JSON file, without its byte order mark.

    Bytes that are not UTF-8 become lone surrogates, as in names of files, which may be in an old
    encoding, too.

    Raises:
      UserError: it is missing, too long, or no text.
    """
    path = _existing(path)
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} is over {_MAX_BYTES >> 20} MiB: give a list or a label file")
    encoding, errors = _encoding(path)
    text = path.read_bytes().decode(encoding, errors)
    if "\0" in text:
        raise _no_text(path)
    return text


def read_lines(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Yields (place, text) of every line that says something; the place is "file line 3".

    The text is without blanks around it, and without the quotes that it may stand in. The list may
    be of any length: one line is in memory.

    Raises:
      UserError: it is missing or no text, or a line is too long for a path.
    """
    path = _existing(path)
    encoding, errors = _encoding(path)
    with path.open(encoding=encoding, errors=errors) as file:  # parts lines at LF, CRLF and CR
        number = 0
        while line := file.readline(_MAX_LINE):
            number += 1
            if "\0" in line or len(line) == _MAX_LINE:
                raise _no_text(path)
            if _says(line := line.rstrip("\n")):
                yield f"{path} line {number}", _unquote(line.strip())


def read_table(path: str | os.PathLike, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Returns (place, cells by column) of every row that says something; place is "file line 3".

    Names of columns are in lower case. What parts the cells is what makes the header hold all of
    `columns`. The cells of other columns are "" where a row is too short for them.

    Raises:
      UserError: as `read_text`; or it is not CSV, its header lacks one of `columns`, or a row has
        too few or too many cells.
    """
    text = read_text(path)
    delimiter, header = _find_header(path, text, columns)
    try:
        _, *rows = _rows(text, delimiter)
    except csv.Error as error:
        raise UserError(f"{path} is not CSV ({error}): save or download it again") from error
    places = [f"{path} line {line}" for line, _ in rows]
    return [
        (where, _cells(where, row, header, columns))
        for where, (_, row) in zip(places, rows, strict=True)
    ]


class Finder:
    r"""Finds files below a folder by the names that lists give them.

    A name is taken as it is where there is such a file. Otherwise "\" parts folders, accents may be
    written in one character or in two (as on macOS), and in UTF-8 or in Latin-1.
    """

    def __init__(self, folder: str | os.PathLike):
        self._folder = os.fspath(folder)
        self._names: dict[str, dict[str, str]] = {}

    def find(self, text: str) -> str:
        """Returns the path, relative to the folder, of the file that a list calls `text`.

        If there is none, that is `text` with "/" between folders.
        """
        path = text.replace("\\", "/")
        for exact in (text, path):
            if os.path.lexists(os.path.join(self._folder, exact)):
                return exact
        return self._find_alike(pathlib.PurePosixPath(path)) or path

    def _find_alike(self, path: pathlib.PurePosixPath) -> str | None:
        found = ""
        for part in path.parts:
            place = os.path.join(self._folder, found)
            if not os.path.lexists(os.path.join(place, part)):
                part = self._names_in(place).get(_normal_form(part))
            if part is None:
                return None
            found = os.path.join(found, part)
        return found

    def _names_in(self, folder: str) -> dict[str, str]:
        """The names in a folder by their normal form, if no other name has the same."""
        if folder not in self._names:
            names = os.listdir(folder) if os.path.isdir(folder) else []
            counts = collections.Counter(map(_normal_form, names))
            self._names[folder] = {
                _normal_form(name): name for name in names if counts[_normal_form(name)] == 1
            }
        return self._names[folder]


def _existing(path: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path} is missing: put the owners' file there")
    return path


def _no_text(path: pathlib.Path) -> UserError:
    return UserError(f"{path} is not text in UTF-8 or UTF-16: save or download it again")


def _encoding(path: pathlib.Path) -> tuple[str, str]:
    """(the encoding of a text, by its byte order mark; what becomes of bytes that are none)."""
    with path.open("rb") as file:
        is_utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return ("utf-16", "replace") if is_utf16 else ("utf-8-sig", "surrogateescape")


def _says(line: str) -> bool:
    """Whether a line is neither a comment nor made of blanks and delimiters alone."""
    return not line.startswith("#") and bool(line.strip(f"{_DELIMITERS} "))


def _unquote(text: str) -> str:
    is_quoted = len(text) > 2 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"') if is_quoted else text


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line and the cells of each row that says something, the header first."""
    lines = io.StringIO(text, newline="")  # it parts lines at LF, CRLF and CR, and keeps them
    rows = csv.reader(
        ("\n" if _NO_ROW.match(line.rstrip()) else line for line in lines),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True,
    )
    for row in rows:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield rows.line_num, cells


def _find_header(
    path: str | os.PathLike, text: str, columns: Sequence[str]
) -> tuple[str, list[str]]:
    """The delimiter with which the header has all of `columns`, and the header."""
    longest: list[str] = []
    for delimiter in _DELIMITERS:
        header: list[str] = []
        with contextlib.suppress(csv.Error):  # another one parts the cells
            _, header = next(_rows(text, delimiter), (0, header))
        header = [name.lower() for name in header]
        if set(columns) <= set(header):
            return delimiter, header
        longest = max(longest, header, key=len)
    raise UserError(
        f"{path} has the columns {', '.join(longest) or 'none'}: {' and '.join(columns)} are "
        "needed, parted by commas, semicolons or tabs"
    )


def _cells(where: str, row: list[str], header: list[str], columns: Sequence[str]) -> dict[str, str]:
    if any(row[len(header) :]):
        raise UserError(
            f"{where} has {len(row)} cells and the header {len(header)}: put names that hold the "
            "delimiter in quotes"
        )
    cells = dict(zip(header, row, strict=False))
    if not cells.keys() >= set(columns):
        raise UserError(f"{where} has too few cells: {' and '.join(columns)} are needed")
    return dict.fromkeys(header, "") | cells


def _normal_form(name: str) -> str:
    if _OLD_BYTES.search(name):
        name = os.fsencode(name).decode("cp1252", "backslashreplace")  # Latin-1 and more
    return unicodedata.normalize("NFC", name)
