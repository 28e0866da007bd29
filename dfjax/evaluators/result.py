"""The result of scoring one target: metrics by level and method, and verdicts on files.

OUT/scores.csv has every crop, metrics.json every number with its protocol, curves.png the curves.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from dfjax import files, metrics
from dfjax.data import builder, leaks
from dfjax.evaluators import figures, frame, verdicts, video
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.verdicts import File
from dfjax.model_card import ModelCard

METRICS_FILE = "metrics.json"
SCORES_FILE = "scores.csv"
CURVES_FILE = "curves.png"
FILES = (SCORES_FILE, METRICS_FILE, CURVES_FILE)


@dataclasses.dataclass(frozen=True)
class Level:
    """What is scored: crops ("frame") or videos ("video").

    Attributes:
      label: int [N], 0 real, 1 fake.
      score: float [N], P(fake).
      method: N texts.
    """

    label: np.ndarray
    score: np.ndarray
    method: np.ndarray

    @property
    def has_both_classes(self) -> bool:
        return set(self.label.tolist()) == {0, 1}


def levels(scores: frame.Scores) -> dict[str, Level]:
    """Returns crops as "frame", and videos as "video"; either may lack a class."""
    videos = video.clip_scores(scores).videos
    return {
        "frame": Level(scores.label, scores.score, scores.method),
        "video": Level(videos.label, videos.score, videos.method),
    }


def describe(
    target: EvalTarget,
    judged: list[File],
    card: ModelCard,
    thresholds: dict[str, float],
    overlap: leaks.Overlap | None,
) -> dict[str, Any]:
    """Returns what holds of a target whether it has both classes or not.

    `overlap` None: the data that the model was trained on are not at hand.
    """
    metadata = dict(target.dataset.metadata)
    coverage = metadata["coverage"][target.split]
    without_face = {name: counts["no_face"] for name, counts in coverage.items()}
    return {
        "data": target.name,
        "path": str(target.dataset.path.absolute()),
        "synthetic": bool(metadata["synthetic"]),
        "protocol": {**card.protocol, "temperature": card.temperature, "thresholds": thresholds},
        "prepared": metadata,
        "boxes_from_original": target.dataset.boxes_from_original,
        "shared_with_training": None if overlap is None else dataclasses.asdict(overlap),
        "notes": _notes(target.dataset, overlap),
        "pictures": sum(file.kind == "image" for file in judged),
        "videos": sum(file.kind == "video" for file in judged),
        "verdicts": verdicts.measure(judged, card, without_face),
    }


def measure(scores: frame.Scores, thresholds: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Returns the metrics of each level that holds both classes.

    Raises:
      UserError: the crops lack a class.
    """
    by_level = levels(scores)
    if not by_level["video"].has_both_classes:
        del by_level["video"]
    return {name: _measure(level, thresholds[name]) for name, level in by_level.items()}


def _measure(level: Level, threshold: float) -> dict[str, Any]:
    """All metrics of one level, over everything and per method (each against all reals)."""
    measured: dict[str, Any] = {
        "real": int((level.label == 0).sum()),
        "fake": int((level.label == 1).sum()),
        **metrics.ranking_metrics(level.label, level.score),
        **metrics.threshold_metrics(level.label, level.score, threshold),
        "threshold": threshold,
        "confusion": metrics.confusion(level.label, level.score, threshold).tolist(),
        "methods": {},
    }
    for method in np.unique(level.method[level.label == 1]):
        rows = (level.label == 0) | (level.method == method)
        label, score = level.label[rows], level.score[rows]
        measured["methods"][str(method)] = {
            "fake": int(label.sum()),
            **metrics.ranking_metrics(label, score),
            **metrics.threshold_metrics(label, score, threshold),
        }
    return measured


def _notes(dataset: builder.Dataset, overlap: leaks.Overlap | None) -> list[str]:
    """What a reader has to know before believing a score."""
    notes = []
    if dataset.metadata["synthetic"]:
        notes.append("synthetic")
    if overlap is None:
        notes.append("whether it shares clips or people with training is unknown")
    elif overlap:
        notes.append(overlap.describe())
    if dataset.boxes_from_original:
        notes.append("fakes cut out where their originals show a face")
    return notes


def write_curves(
    folder: pathlib.Path, title: str, scores: frame.Scores, thresholds: dict[str, float]
) -> None:
    """Writes curves.png of the levels that hold both classes."""
    curves = {
        name: (level.label, level.score, thresholds[name])
        for name, level in levels(scores).items()
        if level.has_both_classes
    }
    figures.save_curves(folder / CURVES_FILE, title, curves)


def write_scores(folder: pathlib.Path, scores: frame.Scores, judged: list[File]) -> None:
    """Writes one row per crop; `quality` says why it does not count in the verdict on its file."""
    faces = {row: face for file in judged for row, face in zip(file.rows, file.faces, strict=True)}
    names = ["clip", "frame", "face", "track", "method", "label", "score", "logit", "quality"]
    rows = (
        [
            scores.clip[row],
            scores.frame[row],
            scores.face[row],
            faces[row].track,
            scores.method[row],
            scores.label[row],
            score,
            float(scores.logit[row]),
            faces[row].quality or "",
        ]
        for row, score in enumerate(scores.score.tolist())
    )
    files.replace_csv(folder / SCORES_FILE, names, rows)
