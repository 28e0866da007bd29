"""From the faces of distorted clips to a table of scores."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from dfjax.evaluators.score_table import NO_FACE, ScoreTable
from dfjax.inference.scorer import MAX_BATCH, Scorer
from dfjax.robustness.source import ClipFaces


def score(clips: Iterable[ClipFaces], model: Scorer) -> ScoreTable:
    """Returns the scores of clips in order of their keys, a row of its own for one without a face.

    The number of a face stands for its track. Few crops are in memory at a time.
    """
    parts, logits, waiting = [], [np.zeros(0)], []
    for clip in clips:
        parts.append(dataclasses.replace(clip, crops=()))
        waiting += clip.crops
        whole = len(waiting) // MAX_BATCH * MAX_BATCH
        logits.append(_logits(model, waiting[:whole]))
        del waiting[:whole]
    logits.append(_logits(model, waiting))
    return _table(parts, np.concatenate(logits), model)


def _logits(model: Scorer, crops: list[np.ndarray]) -> np.ndarray:
    return model.logits(np.stack(crops)) if crops else np.zeros(0)


def _table(clips: list[ClipFaces], logit: np.ndarray, model: Scorer) -> ScoreTable:
    """The table of the logits of all faces, clip after clip."""
    ends = np.cumsum([len(clip.frame) for clip in clips])
    rows = zip(clips, np.split(logit, ends[:-1]), strict=True)
    rows = [_with_missing(*row) for row in sorted(rows, key=lambda row: row[0].clip)]
    size = [len(logits) for _, logits in rows]

    def of_clips(values: Iterator) -> np.ndarray:
        return np.repeat(np.array(list(values)), size)

    def of_faces(name: str) -> np.ndarray:
        return np.concatenate([getattr(clip, name) for clip, _ in rows])

    logit = np.concatenate([logits for _, logits in rows])
    return ScoreTable(
        corpus=of_clips(clip.clip.partition("/")[0] for clip, _ in rows).astype(object),
        clip=of_clips(clip.clip for clip, _ in rows).astype(object),
        method=of_clips(clip.method for clip, _ in rows).astype(object),
        frame=of_faces("frame"),
        time=of_faces("time"),
        face=of_faces("face"),
        track=of_faces("face"),
        label=of_clips(clip.label for clip, _ in rows),
        logit=logit,
        score=model.card.score(logit),
    )


def _with_missing(clip: ClipFaces, logit: np.ndarray) -> tuple[ClipFaces, np.ndarray]:
    """A clip and its logits; one without a face has a row that says so."""
    if len(logit):
        return clip, logit
    none, unknown = np.array([NO_FACE]), np.array([np.nan])
    return dataclasses.replace(clip, frame=none, face=none, time=unknown), unknown
