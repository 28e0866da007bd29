"""Where the results are that a report is made of."""

import json
import os
import pathlib
from typing import Any

Results = tuple[dict[str, Any], dict[str, Any] | None]
"""The contents of report.json and of robustness.json."""

REPORT_FILE = "report.json"
ROBUSTNESS_FILE = "robustness.json"


def read(folder: str | os.PathLike) -> Results:
    """Returns the results in a folder; None: there is no robustness.json of the same weights."""
    report = _read(pathlib.Path(folder, REPORT_FILE))
    path = pathlib.Path(folder, ROBUSTNESS_FILE)
    robustness = _read(path) if path.is_file() else None
    if robustness and _weights(report) not in (None, _weights(robustness)):
        robustness = None
    return report, robustness


def find(folder: str | os.PathLike, weights: str) -> list[Results]:
    """Returns all results below a folder whose report.json is about these weights."""
    found = [read(path.parent) for path in sorted(pathlib.Path(folder).rglob(REPORT_FILE))]
    return [each for each in found if _weights(each[0]) == weights]


def _read(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _weights(results: dict[str, Any]) -> str | None:
    return (results.get("model") or {}).get("weights")
