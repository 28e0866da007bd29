"""Many files to verdicts: one row each, whatever is in them. Prints nothing but progress."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from dfjax import console, files, progress, versions, walk
from dfjax.evidence import content_credentials
from dfjax.inference import annotate, extract, page, report, sandboxed
from dfjax.inference.detector import Detector, Result, failed
from dfjax.inference.extract import ExtractedFaces
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.inference.sources import STDIN
from dfjax.inference.worklist import Row, Worklist
from dfjax.media.errors import MediaError
from dfjax.model_card import ModelCard
from dfjax.sandbox.errors import TimeLimitError, WorkerError

OUT = "runs/predict"
ROWS = "results.jsonl"
TABLE = "results.csv"
COLUMNS = (
    "source",
    "verdict",
    "level",
    "score",
    "reason",
    "text",
    "tracks",
    "frames",
    "report",
    "model",
)

INTERNAL = "internal"
_TRIES = 2
_AHEAD = 4  # files per job that are decoded before their turn, because some take longer
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
    jobs: int = 1,
) -> Sequence[Row]:
    """Judges every file, writes OUT/results.csv and `outputs`, and returns the rows.

    A row has the `COLUMNS`. Rows are also kept in OUT/results.jsonl as they come: the same call
    continues after an interruption, and judges again only what has changed: the file, the model or
    the settings. `jobs` files are decoded at a time. However many files there are, memory holds a
    few of them.

    Raises:
      UserError: the sources name no file.
    """
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    mark_output(out, outputs)
    worklist = Worklist()
    worklist.add(sources)
    worklist.read_known(out / ROWS)
    judge = Judge(detector, out, num_frames=num_frames, outputs=outputs, jobs=jobs)
    with (
        judge,
        open(out / ROWS, "a") as journal,
        progress.Progress("predict", len(worklist), unit="files") as bar,
    ):
        for done, judged in enumerate(judge.rows(worklist.files(), worklist.known), 1):
            worklist.finish(judged.number, judged.row)
            if judged.is_to_keep:
                journal.write(judged.line)
                journal.flush()
            bar.update(done, last=judged.row["verdict"])
    write_table(out / TABLE, worklist)
    return worklist


def write_table(path: pathlib.Path, rows: Iterable[Row]) -> None:
    """Writes rows as CSV."""
    files.replace_csv(path, COLUMNS, ([row[name] for name in COLUMNS] for row in rows))


@dataclasses.dataclass(frozen=True)
class Judged:
    """A file that was judged, now or in an earlier run.

    Attributes:
      number: of the file, among those that were given.
      key: what its row depends on: the file, the model and the settings.
      row: by `COLUMNS`.
      is_new: whether it was judged now.
    """

    number: int
    key: str
    row: Row
    is_new: bool

    @property
    def is_to_keep(self) -> bool:
        """Whether a later run shall find it; after a fault, another version may do better."""
        return self.is_new and self.row["reason"] != INTERNAL

    @property
    def line(self) -> str:
        """Its line in a journal."""
        return json.dumps({"key": self.key, "row": self.row}) + "\n"


class Judge:
    """Judges files, and writes `outputs` of each into a folder; a context manager."""

    def __init__(
        self,
        detector: Detector,
        out: pathlib.Path,
        *,
        num_frames: int,
        outputs: Outputs,
        jobs: int,
    ):
        """`jobs` files are decoded at a time."""
        self._detector, self._out, self._outputs, self._jobs = detector, out, outputs, jobs
        self._settings = {
            "num_frames": num_frames,
            "crops": detector.crop_spec.crops,
            "reidentify": detector.reidentify,
            **dataclasses.asdict(outputs),
        }
        if detector.trust_list is not None:
            self._settings["trust_list"] = content_credentials.digest(detector.trust_list)
        self._identity = [
            report.SCHEMA,
            detector.scorer.card.digest(),
            detector.scorer.runtime,
            self._settings,
            versions.installed_version(content_credentials.PACKAGE),
        ]
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> "Judge":
        extractor = SandboxedExtractor(trust_list=self._detector.trust_list)
        self._extractor = self._opened.enter_context(extractor)
        self._threads = concurrent.futures.ThreadPoolExecutor(self._jobs)
        self._opened.callback(self._threads.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def rows(
        self, paths: Iterable[tuple[int, str]], known: Callable[[str], Row | None]
    ) -> Iterator[Judged]:
        """Yields every (number, path) judged, in order; `known` gives rows of earlier runs."""
        ahead: collections.deque[Callable[[], Judged]] = collections.deque()
        for number, path in paths:
            ahead.append(self._begin(number, path, known))
            if len(ahead) > _AHEAD * self._jobs:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()

    def _begin(
        self, number: int, path: str, known: Callable[[str], Row | None]
    ) -> Callable[[], Judged]:
        """Begins to decode a file that is to be judged; what is returned waits for it."""
        key = json.dumps([path, *_state(path), *self._identity])
        row = known(key) if path != STDIN else None
        if row is not None:
            return lambda: Judged(number, key, row, is_new=False)
        folder = tempfile.TemporaryDirectory() if path == STDIN else contextlib.nullcontext()
        local = _spool(folder.name) if path == STDIN else path
        num_frames = self._settings["num_frames"]
        extracting = self._threads.submit(
            _extract, self._detector, self._extractor, local, num_frames
        )

        def finish() -> Judged:
            with folder:
                return Judged(number, key, self._judge(path, local, extracting), is_new=True)

        return finish

    def _judge(self, path: str, local: str, extracting: concurrent.futures.Future) -> Row:
        result = _detect(self._detector, extracting, local)
        row = _make_row(path, result, self._detector.scorer.card)
        name, out = _safe_name(path), self._out
        if self._outputs.reports:
            row["report"] = f"{REPORTS}/{name}.html"
            source = report.Source.of_file(local, name=row["source"])
            written = report.make_report(result, self._detector, source, self._settings)
            report.write_json(written, out / REPORTS / f"{name}.json")
            files.replace_text(out / REPORTS / f"{name}.html", page.render_html(written))
        if self._outputs.annotated and result.media is not None:
            try:
                copy = out / ANNOTATED / name
                annotate.write_annotated(local, result, self._detector, copy, self._extractor)
            except (MediaError, TimeLimitError, WorkerError) as error:
                row["text"] += f" No annotated copy: {error}."
        return row


def mark_output(out: pathlib.Path, outputs: Outputs) -> None:
    """Keeps what is written below `out` from being judged: by this call, and what is there."""
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


def _make_row(path: str, result: Result, card: ModelCard) -> Row:
    return {
        "source": files.legible(path),
        "verdict": result.verdict.label,
        "level": result.verdict.level,
        "score": result.verdict.score,
        "reason": result.error.code if result.error else result.verdict.reason,
        "text": report.explain_verdict(result),
        "tracks": len({face.track for face in result.faces}),
        "frames": len(result.media.analysed) if result.media else 0,
        "report": None,
        "model": card.name,
    }


def _detect(detector: Detector, extracting: concurrent.futures.Future, path: str) -> Result:
    try:
        return detector.score(extracting.result())
    except MediaError as error:
        # Its traceback holds this frame, and that holds it: of a million files, that is memory.
        return failed(error.with_traceback(None))
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
