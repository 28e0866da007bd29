"""Scores of a prepared split as a score table, with what its dataset says of the clips."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.corpora.clip import LABELS
from dfjax.data import attributes, unusable
from dfjax.evaluators import frame
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.refusals import COLUMN
from dfjax.evaluators.score_table import COLUMNS, NO_FACE, WEIGHT, ScoreTable
from dfjax.evaluators.verdicts import File

_OF_FACES = ("scale", "padded", "brightness", "sharpness", "bits_per_pixel")


def tabulate(scores: frame.Scores, judged: Sequence[File], target: EvalTarget) -> ScoreTable:
    """Returns one row per crop, then one per clip of the split that gave none.

    `judged` are the files of the scores (`verdicts.files`): they number the people of a clip.
    """
    faces = {row: face for file in judged for row, face in zip(file.rows, file.faces, strict=True)}
    in_order = [faces[row] for row in range(len(scores))]
    table = ScoreTable(
        corpus=_texts(clip.partition("/")[0] for clip in scores.clip),
        clip=scores.clip.astype(object),
        method=scores.method.astype(object),
        frame=scores.frame,
        time=scores.time.astype(np.float64),
        face=scores.face,
        track=np.array([face.track for face in in_order]),
        label=scores.label,
        logit=scores.logit,
        score=scores.score,
        extra={
            "quality": _texts(face.quality or "" for face in in_order),
            "identity": _texts(ids.partition(";")[0] for ids in scores.origin_ids),
            "face_size": np.sqrt(np.prod(scores.box[:, 2:] - scores.box[:, :2], axis=1)),
            **{name: getattr(scores, name) for name in _OF_FACES},
            **({} if np.isnan(scores.strangeness).all() else {COLUMN: scores.strangeness}),
            **({} if scores.pooling == "mean" else {WEIGHT: scores.weight}),
        },
    )
    table = _joined(table, unusable.read(target.dataset.path, target.split))
    return _with_attributes(table, attributes.read(target.dataset.path))


def _joined(table: ScoreTable, missing: Sequence[Mapping[str, Any]]) -> ScoreTable:
    """The table with a row for each clip that gave no crop."""
    parts = [row["key"].split("/") for row in missing]
    number = np.full(len(missing), NO_FACE)
    nothing = np.full(len(missing), np.nan)
    rows = {
        "corpus": _texts(part[0] for part in parts),
        "clip": _texts(row["key"] for row in missing),
        "method": _texts(
            part[1] if len(part) > 2 else LABELS[row["label"]]
            for part, row in zip(parts, missing, strict=True)
        ),
        **dict.fromkeys(("frame", "face", "track"), number),
        "label": np.array([row["label"] for row in missing], int),
        "quality": _texts(row["code"] for row in missing),
        "identity": _texts("" for _ in missing),
    }
    joined = {
        name: np.concatenate([column, rows.get(name, nothing)])
        for name, column in table.columns.items()
    }
    own = {name: joined.pop(name) for name in COLUMNS}
    return ScoreTable(**own, extra=joined)


def _with_attributes(table: ScoreTable, known: Mapping[str, Mapping[str, str]]) -> ScoreTable:
    """The table with the attributes of its clips, "" where one is not known."""
    names = {name: None for clip in known.values() for name in clip if name not in COLUMNS}
    for name in names:
        table.extra[name] = _texts(known.get(clip, {}).get(name, "") for clip in table.clip)
    return table


def _texts(values: Any) -> np.ndarray:
    return np.array(list(values), object)
