"""Clips to crops on Apache Beam, as `workers.crop_clips` makes them in local processes.

Beam only distributes the clips, in lots of a few. `workers.crop_clips` crops each lot on the worker
that gets it, into a part of the work folder, and the launcher writes the dataset from there as
after a local run. So records do not depend on the machine that cropped them, a lot that dies
half-way leaves its finished clips, and a crash of the decoder costs one clip. Launcher and workers
see the clips and the work folder at the same paths of one file system. Workers import this module:
it must not import TFDS, and Beam only where it runs a pipeline.
"""

import contextlib
import functools
import json
import os
import pathlib
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence

from dfjax import versions
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.preparation import crop_store, workers
from dfjax.preparation.workers import Cropping

SETTINGS = "settings.json"  # in the work folder: how its crops are made, and by which packages
_CLIPS_PER_LOT = 16  # so that processes (3 s each) start seldom, and few clips still spread evenly
_POLL_SECONDS = 10.0  # between updates of the progress bar


def crop_clips(
    clips: Sequence[Clip],
    store: crop_store.CropStore,
    cropping: Cropping,
    *,
    options: Sequence[str],
    show: Callable[[int], None],
) -> list[tuple[Clip, crop_store.Outcome]]:
    """Returns clips with their outcomes when a pipeline has ended; its crops are in `store`.

    `options` are Beam's, `--runner=...` among them. Another thread calls `show` now and then with
    the number of clips that the pipeline has finished.

    Raises:
      UserError: Beam is not installed, or a path is relative.
      OSError: the pipeline failed, or the files that workers wrote are not visible here; what is
        finished stays.
    """
    for path in (str(store.path), *(clip.path for clip in clips)):
        if not os.path.isabs(path):
            raise UserError(f"{path} is another file on a worker: give paths that begin with /")
    if clips:
        store.parts.mkdir(exist_ok=True)
        lots = [clips[i : i + _CLIPS_PER_LOT] for i in range(0, len(clips), _CLIPS_PER_LOT)]
        with _watching(store, show):
            _run(
                functools.partial(_crop_lot, cropping=cropping, parts=str(store.parts)),
                lots,
                options,
            )
        store.collect()
    return [(clip, _outcome(clip, store)) for clip in clips]


@contextlib.contextmanager
def _watching(store: crop_store.CropStore, show: Callable[[int], None]) -> Iterator[None]:
    before, ended = store.num_known, threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            store.collect()
            show(store.num_known - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _outcome(clip: Clip, store: crop_store.CropStore) -> crop_store.Outcome:
    outcome = store.outcome(clip)
    if outcome is None:
        raise OSError(
            f"{clip.path}: {store.parts} holds nothing of it: mount that folder and the clips on "
            "all workers at the same paths as here, and run again"
        )
    return outcome


def _run(
    task: Callable[[Sequence[Clip]], None], lots: list[Sequence[Clip]], options: Sequence[str]
) -> None:
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError('Apache Beam is not installed: pip install "dfjax[beam]"') from error
    try:
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            waiting = pipeline | "clips" >> beam.Create(lots)
            waiting | "spread" >> beam.Reshuffle() | "crop" >> beam.Map(task)
    except Exception as error:  # every runner raises its own
        reason = (str(error).strip() or repr(error)).splitlines()[-1]
        raise OSError(f"the pipeline failed ({reason}): repair it and run again") from error


def _crop_lot(clips: Sequence[Clip], *, cropping: Cropping, parts: str) -> None:
    """Runs on a worker: writes the crops of `clips`, or why there are none, to a file in `parts`.

    One process crops them one by one, so that memory holds the frames of one clip.
    """
    _check_worker(pathlib.Path(parts).parent / SETTINGS)
    with crop_store.CropStore(pathlib.Path(parts, uuid.uuid4().hex)) as part:
        for clip, outcome in workers.crop_clips(clips, part, cropping, jobs=1):
            if part.outcome(clip) is None:
                part.save_failure(clip, outcome)


def _check_worker(settings: pathlib.Path) -> None:
    """Raises OSError on a worker that cannot see the work folder, or has other packages."""
    if not settings.exists():
        raise OSError(
            f"a worker does not see {settings}: mount --root and --out at the same paths on all"
        )
    wanted = json.loads(settings.read_text())["versions"]
    here = versions.installed()
    if here != wanted:
        raise OSError(f"a worker has {here} and the launcher {wanted}: install the same on both")
