"""Where the results are that a report is made of."""

import json
import os
import pathlib
from typing import Any

REPORT_FILE = "report.json"
ROBUSTNESS_FILE = "robustness.json"


def read(folder: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Returns report.json and robustness.json of a folder; None: there is none of this model."""
    report = _read(pathlib.Path(folder, REPORT_FILE))
    path = pathlib.Path(folder, ROBUSTNESS_FILE)
    robustness = _read(path) if path.is_file() else None
    if robustness and _weights(report) not in (None, _weights(robustness)):
        robustness = None
    return report, robustness


def find(folder: str | os.PathLike, weights: str) -> list[dict[str, Any]]:
    """Returns every report.json below a folder that is about these weights."""
    found = [_read(path) for path in sorted(pathlib.Path(folder).rglob(REPORT_FILE))]
    return [report for report in found if _weights(report) == weights]


def _read(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _weights(results: dict[str, Any]) -> str | None:
    return (results.get("model") or {}).get("weights")
