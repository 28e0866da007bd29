"""Scores as a table, a row per face: scores.parquet and scores.csv, of dfjax or of other tools.

Every number of a report can be computed from it. Columns:

    corpus, clip, method  `clip` is the whole key (corpus/method/name), unlike in any other method
    frame, time           number of the frame in its clip; seconds, empty where unknown
    face, track           number of the face in its frame; of the person in the clip
    label                 0 real, 1 fake
    logit, score          before the sigmoid; P(fake), after the temperature of the model card

and what else is known of a face or a clip: `quality` (why a verdict does not count the face),
`strangeness` (how unlike the training data it is), `weight` (how much the face counts in the score
of its clip; without this column, all count alike), `identity` (whom or what the clip shows),
`face_size`, `sharpness` and others. A clip that gave no
face is one row with frame -1 and neither logit nor score.

A table of another tool needs `clip`, `label`, and `score` or `logit`; the order of the columns does
not matter. Of the others, those that are missing are filled in: a row without a score is a clip
without a face, rows of a clip are frames in their order.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from dfjax import files, logistic
from dfjax.corpora.clip import LABELS
from dfjax.errors import UserError
from dfjax.evaluators import score_file

PARQUET_FILE = "scores.parquet"
CSV_FILE = "scores.csv"
NO_FACE = -1  # the frame of a clip that gave no face
WEIGHT = "weight"  # a column of `ScoreTable.extra`

_TEXTS = ("corpus", "clip", "method")
_INTEGERS = ("frame", "face", "track")
_ACCEPTED = "give the columns clip, label (0 real, 1 fake), and score (P(fake)) or logit"
_CSV_ROWS = 1 << 14  # at a time


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """One row per face, and one per clip that gave none.

    Attributes:
      corpus, clip, method: N texts, objects.
      frame, face, track: int [N]; -1 in the row of a clip that gave no face.
      time: float64 [N], seconds from the start of the clip; NaN: unknown.
      label: int [N], 0 real, 1 fake.
      logit, score: float64 [N]; NaN in the row of a clip that gave no face.
      extra: further columns by name, each [N]: numbers, or texts as objects.
    """

    corpus: np.ndarray
    clip: np.ndarray
    method: np.ndarray
    frame: np.ndarray
    time: np.ndarray
    face: np.ndarray
    track: np.ndarray
    label: np.ndarray
    logit: np.ndarray
    score: np.ndarray
    extra: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def weight(self) -> np.ndarray:
        """How much each face counts in the score of its clip, float64 [N], above 0."""
        return self.extra.get(WEIGHT, np.ones(len(self)))

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All columns by name, in the order in which they are written."""
        return {name: getattr(self, name) for name in COLUMNS} | self.extra

    def rows(self, chosen: np.ndarray) -> "ScoreTable":
        """Returns the table of some rows: a mask [N], or their numbers."""
        taken = {name: getattr(self, name)[chosen] for name in COLUMNS}
        return ScoreTable(**taken, extra={name: each[chosen] for name, each in self.extra.items()})

    def at_temperature(self, temperature: float) -> "ScoreTable":
        """Returns the same logits with the scores that a temperature gives."""
        score = logistic.to_score(self.logit, temperature)
        return dataclasses.replace(self, score=score)

    @functools.cached_property
    def faces(self) -> "ScoreTable":
        """The rows that have a score."""
        return self if (found := self.frame != NO_FACE).all() else self.rows(found)

    @functools.cached_property
    def missing(self) -> "ScoreTable":
        """The rows of clips that gave no face."""
        return self.rows(self.frame == NO_FACE)


COLUMNS = tuple(f.name for f in dataclasses.fields(ScoreTable) if f.name != "extra")


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the different values sorted, for each value which one it is, int [N]).

    What `np.unique` returns, in a tenth of its time on a million texts.
    """
    if values.dtype != object:
        unique, code = np.unique(values, return_inverse=True)
        return unique, code.ravel()
    first: dict[Any, int] = {}
    code = np.fromiter((first.setdefault(each, len(first)) for each in values), int, len(values))
    unique = np.array(list(first), object)
    order = np.argsort(unique, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return unique[order], rank[code]


def write(folder: str | os.PathLike, table: ScoreTable) -> None:
    """Writes scores.parquet and scores.csv into `folder`, each whole or not at all."""
    import pyarrow
    from pyarrow import parquet

    folder = pathlib.Path(folder)
    with files.replacing(folder / PARQUET_FILE) as unfinished:
        columns = {name: pyarrow.array(each) for name, each in table.columns.items()}
        parquet.write_table(pyarrow.table(columns), unfinished, compression="zstd")
    files.replace_csv(folder / CSV_FILE, list(table.columns), _csv_rows(table))


def _csv_rows(table: ScoreTable) -> Iterator[tuple[Any, ...]]:
    """The rows; a number that does not exist is an empty cell."""
    for start in range(0, len(table), _CSV_ROWS):
        part = table.rows(slice(start, start + _CSV_ROWS)).columns.values()
        yield from zip(*map(_cells, part), strict=True)


def _cells(column: np.ndarray) -> list[Any]:
    if column.dtype.kind != "f":
        return column.tolist()
    return np.where(np.isnan(column), "", column.astype(object)).tolist()


def read(path: str | os.PathLike) -> ScoreTable:
    """Returns the table in a file, .parquet or .csv.

    Raises:
      UserError: it cannot be read, lacks a column, or holds what is no score, no label, or rows of
        one clip that contradict each other; the message says what and what to do.
    """
    columns = score_file.read(path)
    try:
        return _table(columns)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _table(columns: dict[str, np.ndarray]) -> ScoreTable:
    """The table of these columns, with those filled in that are missing."""
    if missing := [name for name in ("clip", "label") if name not in columns]:
        raise UserError(f"it has no column {' and no column '.join(missing)}: {_ACCEPTED}")
    if not {"score", "logit"} & set(columns):
        raise UserError(f"it has neither a column score nor a column logit: {_ACCEPTED}")
    if not len(columns["clip"]):
        raise UserError("it has no rows: give the scores of both classes")
    label = _labels(columns.pop("label"))
    logit, score = _logits_and_scores(columns.pop("logit", None), columns.pop("score", None))
    texts = {name: _texts(columns.pop(name)) for name in _TEXTS if name in columns}
    clip = texts["clip"]
    if WEIGHT in columns:
        columns[WEIGHT] = _weights(columns[WEIGHT], np.isfinite(score))
    number = {name: columns.pop(name, None) for name in (*_INTEGERS, "time")}
    if number["frame"] is None:
        number["frame"] = _order_in_clip(clip)
    found = np.isfinite(score)
    table = ScoreTable(
        corpus=texts.get("corpus", _first_parts(clip)),
        clip=clip,
        method=texts.get("method", np.array(LABELS, object)[label]),
        **{name: _numbers(name, number[name], found) for name in _INTEGERS},
        time=_floats("time", number["time"], len(clip)),
        label=label,
        logit=logit,
        score=score,
        extra=columns,
    )
    _require_agreement(table)
    return table


def _texts(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == object else values.astype(str).astype(object)


def _labels(values: np.ndarray) -> np.ndarray:
    known = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "real": 0, "fake": 1}
    unique, code = factorize(values)
    names = [str(each).strip().lower() for each in unique]
    if wrong := [name for name in names if name not in known]:
        raise UserError(f"labels are 0 (real) or 1 (fake), and it has {', '.join(wrong[:3])}")
    return np.array([known[name] for name in names])[code]


def _logits_and_scores(
    logit: np.ndarray | None, score: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both from either; NaN in both where there is none."""
    if logit is not None:
        logit = _floats("logit", logit)
        if score is None:
            score = logistic.to_score(logit)
    score = _floats("score", score)
    if wrong := int(((score < 0) | (score > 1)).sum()):
        raise UserError(f"{wrong} scores are below 0 or above 1: give P(fake), or call it logit")
    if logit is None:
        logit = logistic.to_logit(score)
    half = int((np.isfinite(score) != np.isfinite(logit)).sum())
    if half:
        raise UserError(f"{half} rows have either no finite score or no finite logit: give both")
    return logit, score


def _floats(name: str, values: np.ndarray | None, size: int = 0) -> np.ndarray:
    if values is None:
        return np.full(size, np.nan)
    try:
        return values.astype(np.float64)
    except ValueError as error:
        raise UserError(f"its column {name} holds other than numbers ({error})") from error


def _weights(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Those of faces; nothing where no face was found."""
    values = np.where(found, _floats(WEIGHT, values), np.nan)
    if wrong := int((found & ~((values > 0) & np.isfinite(values))).sum()):
        raise UserError(f"{wrong} faces have a {WEIGHT} that is not above 0: leave the column out")
    return values


def _numbers(name: str, values: np.ndarray | None, found: np.ndarray) -> np.ndarray:
    """Integers from 0, 0 where they are not known; `NO_FACE` where no face was found."""
    values = np.zeros(len(found)) if values is None else _floats(name, values)
    whole = np.where(values > 0, values, 0).astype(int)
    return np.where(found, whole, NO_FACE)


def _order_in_clip(clip: np.ndarray) -> np.ndarray:
    """For each row how many rows of its clip stand before it."""
    _, code = factorize(clip)
    order = np.argsort(code, kind="stable")
    first = np.searchsorted(code[order], code[order])
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - first
    return place


def _first_parts(clip: np.ndarray) -> np.ndarray:
    """The corpus of each key: what stands before its first "/"; "" where it has none."""
    unique, code = factorize(clip)
    return np.array([each.partition("/")[0] * ("/" in each) for each in unique], object)[code]


def _require_agreement(table: ScoreTable) -> None:
    """Checks that a clip has one label and one method, and that no row is there twice."""
    clips, code = factorize(table.clip)
    for name in ("label", "method"):
        values, value = factorize(getattr(table, name))
        first = np.empty(len(clips), int)
        first[code] = value
        if len(wrong := np.flatnonzero(first[code] != value)):
            both = f"{values[value[wrong[0]]]} and {values[first[code[wrong[0]]]]}"
            raise UserError(
                f"clip {clips[code[wrong[0]]]!r} has the {name}s {both}: name clips by whole keys, "
                "such as corpus/method/name, as names repeat between methods"
            )
    row = np.stack([code, table.frame, table.face])
    order = np.lexsort(row)
    same = (np.diff(row[:, order]) == 0).all(axis=0)
    if same.any():
        at = order[int(same.argmax())]
        raise UserError(
            f"{int(same.sum())} rows are there twice, such as clip {table.clip[at]!r} frame "
            f"{table.frame[at]} face {table.face[at]}: name clips by whole keys (corpus/method/"
            "name), and number frames and faces"
        )
