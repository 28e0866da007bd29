"""Many files to verdicts: one row each, whatever is in them. Prints nothing but progress."""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from dfjax import console, files, progress, walk
from dfjax.inference import annotate, extract, page, report, sandboxed
from dfjax.inference.detector import Detector, Result, failed
from dfjax.inference.extract import ExtractedFaces
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.inference.sources import STDIN, expand
from dfjax.media.errors import MediaError
from dfjax.model_card import ModelCard
from dfjax.sandbox.errors import TimeLimitError, WorkerError

OUT = "runs/predict"
ROWS = "results.jsonl"
TABLE = "results.csv"
COLUMNS = ("source", "verdict", "score", "reason", "text", "tracks", "frames", "report", "model")

INTERNAL = "internal"
_TRIES = 2
REPORTS, ANNOTATED = "reports", "annotated"  # folders below OUT


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What is written of each file, next to its row.

    Attributes:
      reports: a report, as JSON and as a page.
      annotated: a copy with boxes, scores and heat maps.
    """

    reports: bool = True
    annotated: bool = False


def predict(
    sources: Sequence[str],
    detector: Detector,
    out: str | os.PathLike = OUT,
    *,
    num_frames: int = extract.NUM_FRAMES,
    outputs: Outputs = Outputs(),
) -> list[dict[str, Any]]:
    """Judges every file, writes OUT/results.csv and `outputs`, and returns the rows.

    A row has the `COLUMNS`. Rows are also kept in OUT/results.jsonl as they come: the same call
    continues after an interruption, and judges again only what has changed: the file, the model or
    the settings.

    Raises:
      UserError: the sources name no file.
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _mark_output(out, outputs)
    settings = {
        "num_frames": num_frames,
        "crops": detector.crop_spec.crops,
        "reidentify": detector.reidentify,
        **dataclasses.asdict(outputs),
    }
    identity = [detector.scorer.card.digest(), detector.scorer.runtime, settings]
    known = _read_rows(out / ROWS)
    rows = []
    paths = expand(sources)
    with (
        SandboxedExtractor() as extractor,
        open(out / ROWS, "a") as journal,
        progress.Progress("predict", len(paths), unit="files") as bar,
    ):
        for number, path in enumerate(paths, 1):
            key = json.dumps([path, *_state(path), *identity])
            row = known.get(key)
            if row is None or path == STDIN:
                row = _judge(path, detector, extractor, out, settings, outputs)
                if row["reason"] != INTERNAL:  # another version may do better
                    journal.write(json.dumps({"key": key, "row": row}) + "\n")
                    journal.flush()
            rows.append(row)
            bar.update(number, last=row["verdict"])
    files.replace_csv(out / TABLE, COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
    return rows


def _mark_output(out: pathlib.Path, outputs: Outputs) -> None:
    """Keeps what is written from being judged: also by this call, and what an older one left."""
    for folder, wanted in ((REPORTS, outputs.reports), (ANNOTATED, outputs.annotated)):
        if wanted or (out / folder).is_dir():
            walk.mark_output(out / folder)


def _state(path: str) -> list[int]:
    """What changes when a file does; empty for a missing one."""
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
    path: str,
    detector: Detector,
    extractor: SandboxedExtractor,
    out: pathlib.Path,
    settings: dict[str, Any],
    outputs: Outputs,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        local = _spool(folder) if path == STDIN else path
        result = _detect(detector, extractor, local, settings["num_frames"])
        row = _make_row(path, result, detector.scorer.card)
        name = _safe_name(path)
        if outputs.reports:
            row["report"] = f"{REPORTS}/{name}.html"
            source = report.Source.of_file(local, name=row["source"])
            written = report.make_report(result, detector, source, settings)
            report.write_json(written, out / REPORTS / f"{name}.json")
            files.replace_text(out / REPORTS / f"{name}.html", page.render_html(written))
        if outputs.annotated and result.media is not None:
            try:
                copy = out / ANNOTATED / name
                annotate.write_annotated(local, result, detector, copy, extractor)
            except (MediaError, TimeLimitError, WorkerError) as error:
                row["text"] += f" No annotated copy: {error}."
    return row


def _make_row(path: str, result: Result, card: ModelCard) -> dict[str, Any]:
    return {
        "source": files.legible(path),
        "verdict": result.verdict.label,
        "score": result.verdict.score,
        "reason": result.error.code if result.error else result.verdict.reason,
        "text": report.explain_verdict(result),
        "tracks": len({face.track for face in result.faces}),
        "frames": result.media.analysed if result.media else 0,
        "report": None,
        "model": card.name,
    }


def _detect(
    detector: Detector, extractor: SandboxedExtractor, path: str, num_frames: int
) -> Result:
    try:
        return detector.score(_extract(detector, extractor, path, num_frames))
    except MediaError as error:
        return failed(error)
    except Exception as error:  # one file must not stop the others, whatever fault it uncovers
        message = console.one_line(f"{path}: {type(error).__name__}: {error}")
        return failed(MediaError(INTERNAL, message))


def _extract(
    detector: Detector, extractor: SandboxedExtractor, path: str, num_frames: int
) -> ExtractedFaces:
    """The faces of a file, in a process of its own; MediaError whatever becomes of that."""
    for _ in range(_TRIES):
        try:
            return extractor.file(
                path,
                detector.crop_spec,
                num_frames=num_frames,
                seconds=sandboxed.SECONDS,
                embed=detector.embed,
            )
        except TimeLimitError as error:
            message = f"{path}: it took more than {sandboxed.SECONDS:.0f} s: give a shorter file"
            raise MediaError("time_limit", message) from error
        except WorkerError:  # for lack of memory, which may pass
            continue
    message = f"{path}: the process decoding it died twice: check the file, or scale it down"
    raise MediaError("worker_died", message)


def _spool(folder: str) -> str:
    """Writes standard input to a file and returns its path."""
    path = pathlib.Path(folder, "stdin")
    path.write_bytes(sys.stdin.buffer.read())
    return str(path)


def _safe_name(path: str) -> str:
    """A file name that resembles the path's, and is unique to the path."""
    digest = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", os.path.basename(path)).strip("._")[:60]
    return f"{stem or 'stdin'}-{digest}"
