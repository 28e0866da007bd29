"""report.json: what was measured of score tables, and all that says how.

docs/evaluation.md describes the fields. The same functions serve an evaluation, which knows the
model and the data, and a report on scores alone; what is not known is None.
"""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax import versions
from dfjax.evaluators import (
    calibrated,
    cautions,
    conditions,
    false_alarms,
    levels,
    refusals,
    score_table,
    video,
)
from dfjax.evaluators.levels import Thresholds
from dfjax.evaluators.score_table import ScoreTable
from dfjax.metrics import bootstrap
from dfjax.model_card import ModelCard
from dfjax.report import results

FILE = results.REPORT_FILE
METRICS_FILE = "metrics.json"

_FORMAT = 1
_NUM_WORST = 6  # of each class
_PACKAGES = ("dfjax", "jax", "flax", "numpy", "scipy", "opencv-python-headless", "av", "dlib-bin")
_RULES = {
    "faces_of_a_frame": video.FACES_OF_A_FRAME,
    "videos": "clips with a face in two frames or more",
    "missing_faces": "clips without a face are dropped; the other policy, a score of "
    f"{levels.MISSING_SCORE}, stands next to it",
    "methods": "the fakes of a method against all reals",
}


def thresholds_of(card: ModelCard) -> Thresholds:
    """Returns the thresholds that a model card froze."""
    frame, clip = (card.decision(level).threshold for level in levels.NAMES)
    return Thresholds(frame, clip, "model card")


def of_card(card: ModelCard, limits: Thresholds) -> dict[str, Any]:
    """Returns how the model and everything that decides were chosen."""
    thresholds = {name: getattr(limits, name) for name in levels.NAMES}
    return {**card.protocol, "temperature": card.temperature, "thresholds": thresholds}


def dataset(
    name: str,
    table: ScoreTable,
    limits: Thresholds,
    *,
    protocol: Mapping[str, Any] | None = None,
    synthetic: bool = False,
    notes: Sequence[str] = (),
    data_card: Mapping[str, Any] | None = None,
    overlap: Mapping[str, int] | None = None,
    card: ModelCard | None = None,
    by: Sequence[str] = (),
    picture: Callable[[int], str] | None = None,
    draws: int = bootstrap.DRAWS,
) -> dict[str, Any]:
    """Returns what report.json says of one dataset.

    `protocol` is how the model was chosen, `card` what it decides by; `by` are columns that results
    are parted by (`conditions.measure`); `picture` returns a face of `table.faces` by its row, as a
    data URI.
    """
    measured = levels.measure(table, limits, draws)
    rng = np.random.default_rng(0)
    return {
        "name": name,
        "synthetic": synthetic,
        "notes": [*notes, *cautions.of_levels(measured)],
        "protocol": {
            **(protocol or {}),
            "video_score": video.rule_of(table.faces.weight),
            **_RULES,
        },
        "coverage": _coverage(table),
        "levels": measured,
        "calibration": calibrated.measure(table, card),
        "groups": conditions.measure(table, by, limits, rng),
        "false_alarms": false_alarms.measure(table, card, rng) if card else None,
        "gate": refusals.measure(table, card, limits.frame),
        "worst": _worst(table.faces, picture),
        "data_card": data_card,
        "overlap": overlap,
    }


def make(
    datasets: Sequence[Mapping[str, Any]],
    *,
    card: ModelCard | None = None,
    config: Mapping[str, Any] | None = None,
    devices: str | None = None,
) -> dict[str, Any]:
    """Returns report.json; `devices` are those that scored."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {
        "format": _FORMAT,
        "versions": {
            "python": platform.python_version(),
            **{package: versions.installed_version(package) for package in _PACKAGES},
        },
        "hardware": machine if devices is None else f"{devices}; {machine}",
        "commit": _commit(),
        "model": None if card is None else card.to_json(),
        "config": config,
        "datasets": list(datasets),
    }


def of_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what metrics.json and the terminal show of a part of report.json (`dataset`)."""
    names = "protocol", "notes", "coverage", "groups", "false_alarms", "gate"
    return {
        **{name: part[name] for name in names},
        **summary(part["levels"]),
    }


def summary(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the values of each level that holds both classes, without intervals and curves.

    `measured` is what `levels.measure` returned.
    """
    return {
        name: {
            **{key: level[key] for key in ("real", "fake", "threshold", "confusion")},
            **_values(level["metrics"]),
            "methods": {
                method: {"fake": part["fake"], **_values(part["metrics"])}
                for method, part in level["methods"].items()
            },
        }
        for name, level in measured.items()
        if "metrics" in level
    }


def _values(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    return {name: each["value"] for name, each in metrics.items()}


def _commit() -> str | None:
    """The commit of the source tree that runs; None: it is none, or Git is absent."""
    command = ["git", "-C", os.path.dirname(__file__), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _coverage(table: ScoreTable) -> dict[str, Any]:
    """How many clips there are, and how many of them gave no face, also by method."""
    clips, code = score_table.factorize(table.clip)
    first = np.empty(len(clips), int)
    first[code] = np.arange(len(code))
    method, missing = table.method[first], table.frame[first] == score_table.NO_FACE

    def count(rows: np.ndarray) -> dict[str, int]:
        return {"clips": int(rows.sum()), "without_face": int((rows & missing).sum())}

    by_method = {str(name): count(method == name) for name in sorted(set(method.tolist()))}
    return {**count(np.ones(len(clips), bool)), "methods": by_method}


def _worst(faces: ScoreTable, picture: Callable[[int], str] | None) -> list[dict[str, Any]]:
    """Of each class the clips with the most wrong faces, and these faces, the most wrong first."""
    error = np.abs(faces.score - faces.label)
    order = np.argsort(-error, kind="stable")
    return [
        {
            "clip": str(faces.clip[row]),
            "frame": int(faces.frame[row]),
            "face": int(faces.face[row]),
            "label": int(faces.label[row]),
            "score": float(faces.score[row]),
            "picture": picture(int(row)) if picture else None,
        }
        for label in (0, 1)
        for row in _one_of_each(faces.clip, order[faces.label[order] == label])
    ]


def _one_of_each(clip: np.ndarray, rows: np.ndarray) -> list[int]:
    """The first rows of different clips, at most `_NUM_WORST`."""
    found: dict[str, int] = {}
    for row in rows:
        if len(found) == _NUM_WORST:
            break
        found.setdefault(clip[row], int(row))
    return list(found.values())
