"""docs/real_faces.md: the table of all rows that are finished."""

import collections
import json
import statistics
from collections.abc import Iterator
from typing import Any

from dfjax import files
from scripts.recipes import corpora, figures

FILE = figures.FOLDER.with_suffix(".md")
_BEGIN, _END = "<!-- rows -->\n", "<!-- end of rows -->\n"


def write() -> None:
    """Replaces the table between the marks in docs/real_faces.md."""
    before, _, rest = FILE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    files.replace_text(FILE, before + _BEGIN + "\n".join(_lines()) + "\n" + _END + after)


def _lines() -> Iterator[str]:
    tests = [f"{test}, frame AUC" for test in corpora.TESTS]
    yield f"| row | seeds | {' | '.join(tests)} | videos, video AUC | CPU minutes |"
    yield "|---" * (len(tests) + 4) + "|"
    for name, found in _by_name().items():
        frame = [_spread(found, test, "frame") for test in corpora.TESTS]
        video = _spread(found, "videos", "video")
        minutes = statistics.mean(row.get("cpu_seconds", 0) for row in found) / 60
        seeds = ", ".join(str(row["seed"]) for row in found)
        yield f"| {name} | {seeds} | {' | '.join(frame)} | {video} | {minutes:.0f} |"


def _by_name() -> dict[str, list[dict[str, Any]]]:
    """The figures of the seeds of each row."""
    found = collections.defaultdict(list)
    for path in sorted(figures.FOLDER.glob("*.json")):
        row = json.loads(path.read_text())
        found[row["row"].rpartition("-")[0]].append(row)
    return found


def _spread(rows: list[dict[str, Any]], test: str, level: str) -> str:
    """The mean over seeds, the least and the most of them, and the interval of the first."""
    aucs = [row["tests"][test][level]["auc"] for row in rows if test in row["tests"]]
    if not aucs:
        return "-"
    values = [value for value, _, _ in aucs]
    _, low, high = aucs[0]
    span = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{span} [{low:.3f}, {high:.3f}]"
