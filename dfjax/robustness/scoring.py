"""From the faces of distorted clips to a table of scores."""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from dfjax.evaluators.score_table import NO_FACE, WEIGHT, ScoreTable
from dfjax.inference.network import OUTPUTS
from dfjax.inference.scorer import MAX_BATCH, Scorer
from dfjax.robustness.source import ClipFaces


def score(clips: Iterable[ClipFaces], model: Scorer) -> ScoreTable:
    """Returns the scores of clips in order of their keys, a row of its own for one without a face.

    The number of a face stands for its track. Few crops are in memory at a time.
    """
    parts, outputs, waiting = [], [], []
    for clip in clips:
        parts.append(dataclasses.replace(clip, crops=()))
        waiting += clip.crops
        whole = len(waiting) // MAX_BATCH * MAX_BATCH
        outputs.append(_outputs(model, waiting[:whole]))
        del waiting[:whole]
    outputs.append(_outputs(model, waiting))
    return _table(parts, np.concatenate(outputs), model)


def _outputs(model: Scorer, crops: list[np.ndarray]) -> np.ndarray:
    return model.outputs(np.stack(crops)) if crops else np.zeros((0, len(OUTPUTS)))


def _table(clips: list[ClipFaces], outputs: np.ndarray, model: Scorer) -> ScoreTable:
    """The table of what the model said of all faces, clip after clip."""
    ends = np.cumsum([len(clip.frame) for clip in clips])
    rows = zip(clips, np.split(outputs, ends[:-1]), strict=True)
    rows = [_with_missing(*row) for row in sorted(rows, key=lambda row: row[0].clip)]
    size = [len(of_clip) for _, of_clip in rows]

    def of_clips(values: Iterator) -> np.ndarray:
        return np.repeat(np.array(list(values)), size)

    def of_faces(name: str) -> np.ndarray:
        return np.concatenate([getattr(clip, name) for clip, _ in rows])

    logit, _, attention = np.concatenate([of_clip for _, of_clip in rows]).T
    score = model.card.score(logit)
    weighed = model.card.pooling != "mean"
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
        score=score,
        extra={WEIGHT: model.card.weigh(score, attention)} if weighed else {},
    )


def _with_missing(clip: ClipFaces, outputs: np.ndarray) -> tuple[ClipFaces, np.ndarray]:
    """A clip and its outputs; one without a face has a row that says so."""
    if len(outputs):
        return clip, outputs
    none, unknown = np.array([NO_FACE]), np.array([np.nan])
    nothing = np.full((1, len(OUTPUTS)), np.nan)
    return dataclasses.replace(clip, frame=none, face=none, time=unknown), nothing
