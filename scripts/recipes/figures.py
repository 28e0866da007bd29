"""The figures of a row: one JSON file in docs/real_faces/, which a table is made of.

A row that has its file is finished: it is not trained again, here or on another machine. The scores
of rows that are compared lie in docs/real_faces/scores/, for `dfjax compare` and for averages.
"""

import json
import pathlib
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from dfjax import files, versions
from dfjax.evaluators import score_table

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "real_faces"
_LEVELS = ("frame", "video")
_METRICS = ("auc", "ap", "eer", "balanced_accuracy", "log_loss_calibrated")


def path_of(key: str) -> pathlib.Path:
    """Returns the file of a row."""
    return FOLDER / f"{key.replace('/', '_')}.json"


def read(key: str) -> dict[str, Any] | None:
    """Returns the figures of a row, or None if it is not finished."""
    path = path_of(key)
    return json.loads(path.read_text()) if path.is_file() else None


def write(key: str, report: pathlib.Path, noted: dict[str, Any]) -> None:
    """Writes the figures that a report.json holds, and what is noted of how they came about."""
    parts = json.loads(report.read_text())["datasets"]
    figures = {
        "row": key,
        "commit": _commit(),
        "versions": versions.installed(),
        **noted,
        "tests": {_name(part): _of_dataset(part) for part in parts},
    }
    files.replace_json(path_of(key), figures)


def keep_scores(key: str, workdir: pathlib.Path, tests: Sequence[str]) -> None:
    """Copies the scores of an evaluated run on each test."""
    for test in tests:
        kept = scores_of(key, test)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(workdir / "eval" / f"{test}-test" / score_table.PARQUET_FILE, kept)


def scores_of(key: str, test: str) -> pathlib.Path:
    """Returns the file of the scores of a row on a test."""
    return FOLDER / "scores" / key / f"{test}.parquet"


def _name(part: dict[str, Any]) -> str:
    """The test of a dataset, "DIR/ciplab:test", or of kept scores, "ciplab/scores.parquet"."""
    name = pathlib.PurePath(part["name"])
    return name.parent.name if name.suffix == ".parquet" else name.name.rpartition(":")[0]


def _of_dataset(part: dict[str, Any]) -> dict[str, Any]:
    levels = {level: _of_level(part["levels"][level]) for level in _LEVELS}
    return {
        "without_face": part["coverage"]["without_face"],
        "trivial_cues": part.get("trivial_cues"),
        "false_alarms": part.get("false_alarms"),
        **levels,
    }


def _of_level(level: dict[str, Any]) -> dict[str, Any]:
    metrics = level.get("metrics", {})
    counts = {name: level[name] for name in ("real", "fake")}
    values = {
        name: [_rounded(metrics[name][part]) for part in ("value", "low", "high")]
        for name in _METRICS
        if name in metrics
    }
    return {**counts, **values}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _commit() -> str:
    command = ("git", "describe", "--always", "--dirty")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
