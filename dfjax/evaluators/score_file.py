"""Tables of numbers and texts in Parquet or CSV, as any tool writes them, as numpy columns."""

import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from dfjax.errors import UserError

if TYPE_CHECKING:
    import pyarrow

# "007" is no number.
_ALWAYS_TEXT = ("corpus", "clip", "method", "label", "quality", "identity", "source")


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the columns of a file, .parquet or .csv, by their names in lower case.

    Numbers are int64, or float64 with NaN where a cell is empty; everything else is a text.

    Raises:
      UserError: it cannot be read, or two columns have one name.
    """
    import pyarrow

    path = pathlib.Path(path)
    readers = {".parquet": _read_parquet, ".csv": _read_csv}
    if path.suffix.lower() not in readers or not path.is_file():
        raise UserError(f"{path} is no file of scores: give one that ends in .parquet or .csv")
    try:
        table = readers[path.suffix.lower()](path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}): write or copy it again") from error
    names = [name.strip().lower() for name in table.column_names]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise UserError(f"{path} has several columns {', '.join(sorted(doubled))}: keep one each")
    return {name: _to_numpy(each) for name, each in zip(names, table.columns, strict=True)}


def _read_parquet(path: pathlib.Path) -> "pyarrow.Table":
    from pyarrow import parquet

    return parquet.ParquetFile(path).read()


def _read_csv(path: pathlib.Path) -> "pyarrow.Table":
    from pyarrow import compute, csv

    with path.open("rb") as file:
        header = file.readline(1 << 16).decode("utf-8-sig")
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().strip('"') for name in header.split(delimiter)]
    types = {name: "string" for name in names if name.lower() in _ALWAYS_TEXT}
    table = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(column_types=types),
    )
    for number, field in enumerate(table.schema):
        if field.type == "string":  # as `files.replace_csv` writes what could be a formula
            plain = compute.replace_substring_regex(table[number], r"^'([=+\-@\t\r])", r"\1")
            table = table.set_column(number, field.name, plain)
    return table


def _to_numpy(column: "pyarrow.ChunkedArray") -> np.ndarray:
    """Numbers as they are, NaN where there is none; anything else as texts."""
    import pyarrow
    from pyarrow import types

    partial = types.is_integer(column.type) and column.null_count
    if types.is_floating(column.type) or types.is_null(column.type) or partial:
        return column.cast(pyarrow.float64()).to_numpy()
    if types.is_integer(column.type) or types.is_boolean(column.type):
        return column.cast(pyarrow.int64()).to_numpy()
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    coded = column.cast(pyarrow.string()).fill_null("").combine_chunks().dictionary_encode()
    return np.array(coded.dictionary.to_pylist(), object)[coded.indices.to_numpy()]
