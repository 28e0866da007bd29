"""Many files to verdicts on the workers of a pipeline: the rows and outputs of `predict`.

The launcher writes the paths into lots, `OUT/lots/000012.jsonl` and so on. A worker judges a lot
with a detector of its own, copies the outputs to OUT, and then writes the lot's rows to
`OUT/rows/000012.jsonl`, from which a later run knows what has not changed. Neither launcher nor
worker holds more than a lot. Workers see the files, and the model, at the same paths as the
launcher.
"""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfjax import beam, progress, versions
from dfjax.buckets import store
from dfjax.errors import UserError
from dfjax.inference import predict
from dfjax.inference.detector import Detector
from dfjax.inference.sources import STDIN
from dfjax.inference.worklist import Row, Worklist

SETTINGS = "lots/settings.json"
_FILES_PER_LOT = 256


def predict_on_beam(
    sources: Sequence[str],
    model: Mapping[str, Any],
    out: str,
    *,
    beam_options: Sequence[str],
    num_frames: int,
    outputs: predict.Outputs,
) -> Sequence[Row]:
    """Judges every file, writes OUT/results.csv and `outputs`, and returns the rows.

    `model` are the arguments of `Detector.load`, and `out` is a folder or the URL of one in a
    store. The same call continues after an interruption, and judges again only what has changed.

    Raises:
      UserError: the sources name no file; or a worker would take a path for another file.
      OSError: the pipeline failed; what is finished stays.
    """
    _require_absolute(out, model.get("path"), model.get("trust_list"))
    folder = store.Folder(out)
    if not store.is_url(out):
        predict.mark_output(pathlib.Path(out), outputs)
    worklist = Worklist()
    worklist.add(sources)
    lots = _write_lots(folder, worklist)
    begun = {"versions": versions.installed()}
    folder.write(SETTINGS, json.dumps(begun).encode())
    task = functools.partial(
        _judge_lot, out=out, model=dict(model), num_frames=num_frames, outputs=outputs
    )
    with progress.Progress("predict", len(worklist), unit="files") as bar:
        before = set(folder.sizes("rows"))

        def num_judged() -> int:
            return _FILES_PER_LOT * len(folder.sizes("rows").keys() - before)

        with beam.watching(num_judged, bar.update):
            beam.run(task, range(lots), beam_options)
        for number in range(lots):
            for judged in _read_rows(folder, number):
                worklist.finish(judged["number"], judged["row"])
        bar.update(len(worklist))
    with tempfile.TemporaryDirectory() as temporary:
        table = pathlib.Path(temporary, predict.TABLE)
        predict.write_table(table, worklist)
        folder.put(table, predict.TABLE)
    folder.remove("lots")
    return worklist


def _require_absolute(*paths: str | os.PathLike | None) -> None:
    for path in paths:
        if path is not None and not store.is_url(path) and not os.path.isabs(path):
            raise UserError(f"{path} is another file on a worker: give paths that begin with /")


def _write_lots(folder: store.Folder, worklist: Worklist) -> int:
    """Writes the files of each lot; returns how many there are."""
    files, count = worklist.files(), 0
    while lot := list(itertools.islice(files, _FILES_PER_LOT)):
        for _, path in lot:
            if path == STDIN or not os.path.isabs(path):
                raise UserError(f"{path} is another file on a worker: give paths that begin with /")
        lines = (json.dumps(each) for each in lot)
        folder.write(_lot_name(count), "\n".join(lines).encode())
        count += 1
    return count


def _judge_lot(
    number: int,
    *,
    out: str,
    model: dict[str, Any],
    num_frames: int,
    outputs: predict.Outputs,
) -> None:
    """Runs on a worker."""
    folder = store.Folder(out)
    beam.require_same_versions(folder, SETTINGS, "--out")
    content = folder.read(_lot_name(number)) or b""
    files = [tuple(json.loads(line)) for line in content.splitlines()]
    known = {
        judged["key"]: judged["row"]
        for judged in _read_rows(folder, number)
        if judged["row"]["reason"] != predict.INTERNAL  # another version may do better
    }
    with tempfile.TemporaryDirectory(prefix="dfjax-lot-") as temporary:
        here = pathlib.Path(temporary)
        judge = predict.Judge(
            _load(tuple(sorted(model.items()))),
            here,
            num_frames=num_frames,
            outputs=outputs,
            jobs=1,
        )
        with judge:
            judged = list(judge.rows(files, known.get))
        for path in here.rglob("*"):
            if path.is_file():
                folder.put(path, path.relative_to(here).as_posix())
    lines = (
        json.dumps({"number": each.number, "key": each.key, "row": each.row}) for each in judged
    )
    folder.write(_rows_name(number), "\n".join(lines).encode())


@functools.lru_cache(maxsize=1)
def _load(model: tuple[tuple[str, Any], ...]) -> Detector:
    """The detector of this worker, which judges many lots."""
    return Detector.load(**dict(model))


def _read_rows(folder: store.Folder, number: int) -> Iterator[dict[str, Any]]:
    for line in (folder.read(_rows_name(number)) or b"").splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def _lot_name(number: int) -> str:
    return f"lots/{number:06d}.jsonl"


def _rows_name(number: int) -> str:
    return f"rows/{number:06d}.jsonl"
