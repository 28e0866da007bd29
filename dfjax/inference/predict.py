"""Many files to verdicts: one row each, whatever is in them."""

import collections
import csv
import dataclasses
import glob
import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from rich import console as rich_console
from rich import table as rich_table
from rich import text

from dfjax import progress
from dfjax.errors import UserError
from dfjax.inference import annotate, detector, report
from dfjax.inference.detector import Detector
from dfjax.media.errors import MediaError

ROWS = "results.jsonl"
TABLE = "results.csv"
COLUMNS = ("source", "verdict", "score", "reason", "text", "tracks", "frames", "report")

INTERNAL = "internal"
STDIN = "-"
LIST_SUFFIX = ".txt"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What is written of each file beside its row: a report, an annotated copy."""

    reports: bool = True
    annotated: bool = False


def expand(sources: Sequence[str]) -> list[str]:
    """Returns the files that `sources` name, each once, in order.

    A source is a file, a folder (all files below it but hidden ones, sorted), a glob pattern, a
    .txt file with one path a line (relative to it; # begins a comment), or "-" for standard input.

    Raises:
      UserError: a source names nothing.
    """
    files = list(dict.fromkeys(path for source in sources for path in _expand(source)))
    if not files:
        raise UserError(f"no file in {', '.join(sources)}: give pictures or videos")
    return files


def _expand(source: str) -> Iterator[str]:
    path = pathlib.Path(source)
    if source == STDIN:
        yield source
    elif path.is_dir():
        yield from _files_below(path)
    elif path.suffix.lower() == LIST_SUFFIX and path.is_file():
        for line in path.read_text().splitlines():
            if entry := line.partition("#")[0].strip():
                yield str(path.parent / entry)
    elif not path.exists() and (found := sorted(glob.glob(source, recursive=True))):
        yield from (each for each in found if os.path.isfile(each))
    else:
        yield source  # a missing one gets its row, with the reason


def _files_below(folder: pathlib.Path) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(root, name) for name in sorted(names) if name[0] != ".")


def predict(
    sources: Sequence[str],
    model: Detector,
    out: str | os.PathLike,
    *,
    num_frames: int,
    outputs: Outputs,
) -> list[dict[str, Any]]:
    """Judges every file, writes OUT/results.csv and what `outputs` asks for; returns the rows.

    Rows are kept in OUT/results.jsonl as they come: the same call continues after an interruption,
    and judges anew only files that were changed, or under another model or settings.

    Raises:
      UserError: a source names nothing.
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    settings = {
        "num_frames": num_frames,
        "crops": model.spec.crops,
        "reidentify": model.reidentify,
        **dataclasses.asdict(outputs),
    }
    run = [model.scorer.card.digest(), model.scorer.runtime, settings]
    done = _read_rows(out / ROWS)
    rows = []
    files = expand(sources)
    with (
        open(out / ROWS, "a") as kept,
        progress.Progress("predict", len(files), unit="files") as bar,
    ):
        for number, path in enumerate(files, 1):
            key = json.dumps([path, *_state(path), *run])
            row = done.get(key)
            if row is None or path == STDIN:
                row = _judge(path, model, out, settings, outputs)
                if row["reason"] != INTERNAL:  # another version may fare better
                    kept.write(json.dumps({"key": key, "row": row}) + "\n")
                    kept.flush()
            rows.append(row)
            bar.update(number, last=row["verdict"])
    _write_table(out / TABLE, rows)
    return rows


def _state(path: str) -> list[int]:
    """What changes when a file does; nothing for one that is missing."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read_rows(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    rows = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # the line that a killed run was writing
                continue
            rows[entry["key"]] = entry["row"]
    return rows


def _judge(
    path: str, model: Detector, out: pathlib.Path, settings: dict[str, Any], outputs: Outputs
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        local = _spool(folder) if path == STDIN else path
        result = _try(model, local, settings["num_frames"])
        row = {
            "source": path,
            "verdict": result.verdict.label,
            "score": result.verdict.score,
            "reason": result.error.code if result.error else result.verdict.reason,
            "text": report.explain_verdict(result),
            "tracks": len({face.track for face in result.faces}),
            "frames": result.media.analysed if result.media else 0,
            "report": None,
        }
        name = _safe_name(path)
        if outputs.reports:
            row["report"] = f"reports/{name}.html"
            _write_report(result, model, local, path, out / "reports" / name, settings)
        if outputs.annotated and result.media is not None:
            (out / "annotated").mkdir(exist_ok=True)
            try:
                annotate.write_annotated(local, result, model, out / "annotated" / name)
            except MediaError as error:
                row["text"] += f" No annotated copy: {error}."
    return row


def _try(model: Detector, path: str, num_frames: int) -> detector.Result:
    try:
        return model.file(path, num_frames=num_frames)
    except Exception as error:  # one file must not stop the others, whatever it finds in the code
        message = " ".join(f"{path}: {type(error).__name__}: {error}".split())
        return detector.failed(MediaError(INTERNAL, message))


def _spool(folder: str) -> str:
    """Standard input as a file; what it holds is told by its first bytes."""
    data = sys.stdin.buffer.read()
    pictures = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM")
    is_picture = data.startswith(pictures) and data[8:12] != b"AVI "
    path = os.path.join(folder, "stdin.jpg" if is_picture else "stdin.mp4")
    with open(path, "wb") as file:
        file.write(data)
    return path


def _write_report(
    result: detector.Result,
    model: Detector,
    local: str,
    name: str,
    path: pathlib.Path,
    settings: dict[str, Any],
) -> None:
    path.parent.mkdir(exist_ok=True)
    source = report.Source.of_file(local, name=name)
    found = report.make_report(result, model, source, settings)
    report.write_json(found, path.with_name(path.name + ".json"))
    path.with_name(path.name + ".html").write_text(report.render_html(found))


def _safe_name(path: str) -> str:
    """A file name that tells the source and is unique to its path."""
    digest = hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", os.path.basename(path)).strip("._")[:60]
    return f"{stem or 'stdin'}-{digest}"


def _write_table(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    temporary.replace(path)


def print_rows(rows: Sequence[dict[str, Any]], out: str | os.PathLike) -> None:
    """Prints the verdicts as a table, and where everything was written."""
    table = rich_table.Table()
    for column in ("source", "verdict", "score", "why"):
        table.add_column(column, overflow="fold", justify="right" if column == "score" else "left")
    for row in rows:
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        # Names come from outside: no markup in them.
        table.add_row(text.Text(row["source"]), row["verdict"], score, text.Text(row["text"]))
    console = rich_console.Console()
    console = console if console.is_terminal else rich_console.Console(width=160)
    console.print(table)
    counts = collections.Counter(row["verdict"] for row in rows)
    print(", ".join(f"{count} {label}" for label, count in sorted(counts.items())))
    print(f"wrote {pathlib.Path(out, TABLE)} and the reports it names")
