"""Whole files of a prepared split, judged by the rule that judges a user's files.

A dataset stores crops, not tracks: these are rebuilt from boxes and frames, by the tracker that
follows faces in files.
"""

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import verdict
from dfjax.evaluators import decisions, frame
from dfjax.faces import track
from dfjax.model_card import LABELS, VERDICTS, Decision, ModelCard, QualityLimits
from dfjax.verdict import FaceScore

KINDS = ("image", "video")


@dataclasses.dataclass(frozen=True)
class File:
    """A picture (`kind` "image") or a video, and its faces in order of time.

    `rows` are those of the faces in the scores that they came from.
    """

    clip: str
    kind: str
    label: int
    faces: tuple[FaceScore, ...]
    rows: np.ndarray


def files(scores: frame.Scores, quality: QualityLimits) -> list[File]:
    """Returns the files of a split that show a face, in order of their keys.

    A clip of which one frame was used is a picture.
    """
    order = np.lexsort((scores.face, scores.frame, scores.clip))
    starts = np.flatnonzero(scores.clip[order][1:] != scores.clip[order][:-1]) + 1
    score, weight = scores.score, scores.weight
    return [_file(scores, score, weight, rows, quality) for rows in np.split(order, starts)]


def _file(
    scores: frame.Scores,
    score: np.ndarray,
    weight: np.ndarray,
    rows: np.ndarray,
    quality: QualityLimits,
) -> File:
    frames = scores.frame[rows]
    kind = "video" if frames[0] != frames[-1] else "image"
    tracks = track.follow_boxes(frames, scores.box[rows]) if kind == "video" else range(len(rows))
    faces = tuple(
        FaceScore(
            frame=int(scores.frame[row]),
            time=None,
            track=int(number),
            score=float(score[row]),
            quality=quality.check(
                scale=scores.scale[row],
                brightness=scores.brightness[row],
                sharpness=scores.sharpness[row],
                strangeness=scores.strangeness[row],
            ),
            weight=float(weight[row]),
        )
        for row, number in zip(rows, tracks, strict=True)
    )
    return File(str(scores.clip[rows[0]]), kind, int(scores.label[rows[0]]), faces, rows)


def fit_decisions(
    scores: frame.Scores,
    quality: QualityLimits,
    *,
    error_rate: float,
    min_video_frames: int,
) -> dict[str, Decision]:
    """Returns the decisions of a `ModelCard` that these validation scores allow.

    "frame" is always there; "image" and "video" where enough files of both classes have a verdict.

    Raises:
      UserError: a class is missing, or an error rate is out of range.
    """
    _, clip = np.unique(scores.clip, return_inverse=True)
    single = decisions.Tracks(
        scores.score[:, None],
        np.ones((len(scores), 1)),
        np.arange(len(scores)),
        scores.label,
        clip.ravel(),
    )
    fitted = {"frame": decisions.fit_decision(single, error_rate)}
    judged = files(scores, quality)
    for kind in KINDS:
        needed = min_video_frames if kind == "video" else 1
        tracks = _tracks([file for file in judged if file.kind == kind], needed)
        if set(tracks.label.tolist()) == {0, 1}:
            fitted[kind] = decisions.fit_decision(tracks, error_rate, min_frames=needed)
    return fitted


def _tracks(judged: Sequence[File], needed: int) -> decisions.Tracks:
    """What a verdict on these files looks at."""
    chosen: list[list[FaceScore]] = []
    file: list[int] = []
    label: list[int] = []
    for each in judged:
        usable = verdict.usable_faces(each.faces).values()
        long_enough = [track for track in usable if len(track) >= needed]
        if long_enough:
            chosen += long_enough
            file += [len(label)] * len(long_enough)
            label.append(each.label)
    return decisions.Tracks(
        [np.array([face.score for face in track]) for track in chosen],
        [np.array([face.weight for face in track]) for track in chosen],
        np.array(file, int),
        np.array(label, int),
        np.arange(len(label)),
    )


def measure(
    judged: Sequence[File], card: ModelCard, without_face: dict[str, int]
) -> dict[str, dict[str, Any]]:
    """Returns, by kind of file, how many got a verdict and how many verdicts were wrong.

    `without_face` counts the clips of each class that gave no crop. They get no verdict either, and
    stand under "no_face" since nothing says of which kind they are.
    """
    measured = {}
    for kind in KINDS:
        verdicts = [
            (file.label, verdict.judge(file.faces, kind=kind, card=card))
            for file in judged
            if file.kind == kind
        ]
        if verdicts:
            measured[kind] = dict(_count(verdicts))
    if sum(without_face.values()):
        measured["no_face"] = {"files": sum(without_face.values()), **without_face}
    return measured


def _count(verdicts: Sequence[tuple[int, verdict.Verdict]]) -> Iterator[tuple[str, Any]]:
    counts = {name: dict.fromkeys(VERDICTS, 0) for name in LABELS}
    for label, found in verdicts:
        counts[LABELS[label]][found.label] += 1
    given = sum(counts[name][each] for name in LABELS for each in LABELS)
    yield "files", len(verdicts)
    yield "verdicts", given
    yield "coverage", given / len(verdicts)
    yield "wrong", counts["real"]["fake"] + counts["fake"]["real"]
    yield "counts", counts
    for name, (label, wrong) in {
        "reals_called_fake": ("real", "fake"),
        "fakes_called_real": ("fake", "real"),
    }.items():
        total = sum(counts[label].values())
        yield name, counts[label][wrong] / total if total else None
    reasons = collections.Counter(found.reason for _, found in verdicts if found.reason)
    yield "reasons", dict(sorted(reasons.items()))
