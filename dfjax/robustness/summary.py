"""AUCs under every condition, and what follows from them: means, and the worst."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.distortions.distortion import Distortion
from dfjax.evaluators import levels, score_table, video
from dfjax.evaluators.score_table import ScoreTable
from dfjax.metrics import bootstrap, measures
from dfjax.metrics.measures import EVERYTHING, Sample

INTERVAL = {"level": bootstrap.LEVEL, "resampled": "clips", "draws": bootstrap.DRAWS}


def measure(table: ScoreTable) -> dict[str, Any]:
    """Returns the AUC of clips with its interval, and how many of them show no face.

    Equal clips are resampled alike under every condition.
    """
    sample = _clips(table)
    resampled = measures.resample(sample, 0.5)[EVERYTHING].metrics
    value = measures.measure(sample, 0.5).metrics
    auc = levels.values_with_intervals({"auc": value["auc"]}, resampled)
    return {**auc, "without_face": len(table.missing)}


def _clips(table: ScoreTable) -> Sample:
    """A row for each clip, in order of their keys."""
    missing = table.missing
    key, label, method = missing.clip, missing.label, missing.method
    score = np.full(len(missing), levels.MISSING_SCORE)
    if len(table.faces):
        found = video.Clips.of(table.faces)
        columns = (key, found.clip), (label, found.label), (method, found.method)
        key, label, method = map(np.concatenate, columns)
        score = np.concatenate([score, found.scores()])
    return Sample(label, score, score, method, score_table.factorize(key)[1])


def summarize(
    distortions: Sequence[Distortion],
    chosen_levels: Sequence[int],
    measured: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """Returns the part of robustness.json that holds numbers.

    `measured` has what `measure` found under each condition, by its text.
    """
    types = [_summarize_type(each, chosen_levels, measured) for each in distortions]
    values = [(level["auc"]["value"], each["name"], level["level"]) for each, level in _all(types)]
    worst, name, level = min(values)
    return {
        "clean": measured["clean-0"],
        "types": types,
        "mean": float(np.mean([each["mean"] for each in types])),
        "worst": worst,
        "worst_at": {"type": name, "level": level},
    }


def _all(types: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(each, level) for each in types for level in each["levels"]]


def _summarize_type(
    distortion: Distortion, chosen_levels: Sequence[int], measured: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    rows = [
        {
            "level": level,
            "parameter": distortion.parameter(level),
            **measured[f"{distortion.name}-{level}"],
        }
        for level in chosen_levels
    ]
    values = [row["auc"]["value"] for row in rows]
    return {
        "name": distortion.name,
        "unit": distortion.unit,
        "levels": rows,
        "mean": float(np.mean(values)),
        "worst": min(values),
    }
