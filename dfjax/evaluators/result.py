"""The result of scoring one target: metrics by level and method, and verdicts on files.

scores.parquet and scores.csv have every crop, metrics.json the values with their protocol, and
curves.png the curves.
"""

import dataclasses
import pathlib
from typing import Any

from dfjax.data import builder, leaks
from dfjax.evaluators import cautions, figures, levels, protocol, score_table, verdicts
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.levels import Thresholds
from dfjax.evaluators.score_table import ScoreTable
from dfjax.evaluators.verdicts import File
from dfjax.model_card import ModelCard

CURVES_FILE = "curves.png"
FILES = (score_table.PARQUET_FILE, score_table.CSV_FILE, protocol.METRICS_FILE, CURVES_FILE)


def describe(
    target: EvalTarget,
    judged: list[File],
    card: ModelCard,
    limits: Thresholds,
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
        "path": target.dataset.place,
        "synthetic": bool(metadata["synthetic"]),
        "protocol": protocol.of_card(card, limits),
        "prepared": metadata,
        "boxes_from_original": target.dataset.boxes_from_original,
        "shared_with_training": None if overlap is None else dataclasses.asdict(overlap),
        "notes": [
            *cautions.of_own_split(target, card),
            *cautions.of_card(card),
            *notes(target.dataset, overlap),
        ],
        "pictures": sum(file.kind == "image" for file in judged),
        "videos": sum(file.kind == "video" for file in judged),
        "verdicts": verdicts.measure(judged, card, without_face),
    }


def notes(dataset: builder.Dataset, overlap: leaks.Overlap | None) -> list[str]:
    """Returns what a reader has to know before believing a score."""
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


def write_curves(folder: pathlib.Path, title: str, table: ScoreTable, limits: Thresholds) -> None:
    """Writes curves.png of the levels that hold both classes."""
    curves = {
        name: (sample.label, sample.score, getattr(limits, name))
        for name, sample in levels.samples(table).items()
        if sample.has_both_classes
    }
    figures.save_curves(folder / CURVES_FILE, title, curves)
