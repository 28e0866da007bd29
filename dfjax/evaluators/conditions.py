"""Results by groups of clips: by what is known of them, and by what is measured of their faces.

`measure` returns plain JSON: `score` and `threshold` (by what a clip is called fake), and
`columns`, a row for each column or intersection of columns: its name as `column`, `about` (what is
measured; null: nothing is, a manifest says it), and either a `note` that says why there are no
groups, or what `metrics.groups.measure` returns.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dfjax.evaluators import score_table, video
from dfjax.evaluators.levels import Thresholds
from dfjax.evaluators.score_table import ScoreTable
from dfjax.evaluators.video import Clips
from dfjax.metrics import groups

CONDITIONS = {
    "face_size": "side of a square as large as the box of the face, pixels of the frame",
    "sharpness": "variance of the Laplacian of the crop at 128 px",
    "brightness": "mean luma of the crop, 0 to 255",
    "bits_per_pixel": "of the stored crop: they stand for compression, which leaves less to store; "
    "smooth pictures have few as well (how a file was compressed is not recorded unless a manifest "
    "says it)",
}
"""Columns that every prepared dataset has."""

NO_LABELS = "no labels"

_MAX_GROUPS = 50
_MAX_NUMBERS = 10  # more different numbers than that are cut into thirds
_THIRDS = ("low", "middle", "high")


class _Groups(NamedTuple):
    """The names of groups, and the number of each clip's group, int [C]; -1: it is in none."""

    names: list[str]
    member: np.ndarray


def measure(
    table: ScoreTable, columns: Sequence[str], limits: Thresholds, rng: np.random.Generator
) -> dict[str, Any]:
    """Returns what the module describes, by `CONDITIONS` and by `columns`.

    A column is one of the table's, or several joined by commas: the groups of "gender,age" are the
    intersections of those of both. Texts are groups as they are. Numbers are too, if there are few
    different ones; otherwise they are cut into thirds of the clips. What is measured of faces is
    averaged over a clip. The score of a clip is that of `Clips.scores`, as everywhere; the
    threshold is that of videos, or of crops where there are only pictures.
    """
    clips = Clips.of(table.faces)
    _, clip = score_table.factorize(table.faces.clip)  # in the order of `clips`
    threshold = limits.video if len(clips.videos) else limits.frame

    def of_column(column: str) -> dict[str, Any]:
        parts = [_groups(table.faces, clip, clips.row, name) for name in _names(column)]
        return {
            "column": column,
            "about": CONDITIONS.get(column),
            **_measure(clips, _intersect(parts), threshold, rng),
        }

    return {
        "score": video.rule_of(clips.weight),
        "threshold": threshold,
        "columns": [of_column(column) for column in dict.fromkeys([*CONDITIONS, *columns])],
    }


def _names(column: str) -> list[str]:
    return [name.strip().lower() for name in column.split(",")]


def _measure(
    clips: Clips, found: _Groups, threshold: float, rng: np.random.Generator
) -> dict[str, Any]:
    if not found.names:
        return {"note": NO_LABELS}
    if len(found.names) > _MAX_GROUPS:
        count = len(found.names)
        return {"note": f"{count:,} different values: over {_MAX_GROUPS} are no groups"}
    return groups.measure(clips.label, clips.scores(), found.member, found.names, threshold, rng)


def _groups(faces: ScoreTable, clip: np.ndarray, row: np.ndarray, name: str) -> _Groups:
    """The groups of one column, none where it is absent or empty.

    `clip` is the clip of each face, int [N], and `row` a face of each clip, int [C].
    """
    known = {"corpus": faces.corpus, "method": faces.method, **faces.extra}
    if name not in known:
        return _Groups([], np.full(len(row), -1))
    values = _numbers(known[name])
    if values is None:
        return _groups_of_texts(known[name][row])
    is_known = ~np.isnan(values)
    count = np.bincount(clip[is_known], minlength=len(row))
    total = np.bincount(clip[is_known], values[is_known], minlength=len(row))
    return _groups_of_numbers(np.where(count, total / np.maximum(count, 1), np.nan))


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """The values as float64, NaN where there is none; None if they are not numbers."""
    if values.dtype != object:
        return values.astype(np.float64)
    texts, code = score_table.factorize(values)
    try:
        return np.array([float(text) if text else np.nan for text in texts])[code]
    except ValueError:
        return None


def _groups_of_texts(values: np.ndarray) -> _Groups:
    texts, code = score_table.factorize(values)
    return _without_empty([str(text) for text in texts], np.where(values == "", -1, code))


def _groups_of_numbers(values: np.ndarray) -> _Groups:
    """Numbers as they are, or thirds of them with their limits in their names."""
    known = ~np.isnan(values)
    numbers, code = np.unique(values[known], return_inverse=True)
    member = np.full(len(values), -1)
    if len(numbers) <= _MAX_NUMBERS:
        member[known] = code
        return _Groups([f"{number:g}" for number in numbers], member)
    low, high = np.quantile(values[known], (1 / 3, 2 / 3))
    limits = f"to {low:.3g}", f"{low:.3g} to {high:.3g}", f"above {high:.3g}"
    names = [f"{third} ({limit})" for third, limit in zip(_THIRDS, limits, strict=True)]
    member[known] = np.searchsorted((low, high), values[known])
    return _without_empty(names, member)


def _intersect(parts: Sequence[_Groups]) -> _Groups:
    """The groups of clips that are alike in all parts."""
    names, member = parts[0]
    for more_names, more in parts[1:]:
        names = [f"{name}, {other}" for name in names for other in more_names]
        member = np.where((member < 0) | (more < 0), -1, member * len(more_names) + more)
    return _without_empty(names, member)


def _without_empty(names: Sequence[str], member: np.ndarray) -> _Groups:
    present = np.unique(member[member >= 0])
    number = np.where(member < 0, -1, np.searchsorted(present, member))
    return _Groups([names[each] for each in present], number)
