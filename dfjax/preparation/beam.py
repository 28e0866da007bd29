"""Clips to crops on Apache Beam, beside `workers.crop_clips`, which does it in local processes.

Beam only hands out the clips: a few at a time, each lot is cropped by `workers.crop_clips` where
it lands, into a part of the work folder, from which the launcher writes the dataset as ever. So
records do not depend on who cropped, a lot that dies half-way leaves its finished clips, and a
crash of the decoder costs one clip. Launcher and workers see clips and work folder at the same
paths of one file system. Imports neither Beam nor TFDS: workers import this module.
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
from dfjax.media import limits
from dfjax.preparation import crop_clip, crop_store, workers

SETTINGS = "settings.json"  # in the work folder: how its crops are made, and by which packages
_CLIPS_PER_LOT = 16  # to start a process (3 s) seldom, and to share few clips out evenly
_LOOK_SECONDS = 10.0  # between looks at how far workers are


def crop_clips(
    clips: Sequence[Clip],
    work: crop_store.CropStore,
    crop: Callable[[Clip], crop_clip.ClipCrops],
    *,
    options: Sequence[str],
    show: Callable[[int], None],
) -> list[tuple[Clip, crop_store.Outcome]]:
    """Returns clips with their outcomes when a pipeline is through, the crops being in `work`.

    `options` are Beam's, `--runner=...` among them. `show` is called now and then, by another
    thread, with how many clips have become finished.

    Raises:
      UserError: Beam is not installed, or a path is relative.
      OSError: the pipeline failed, or what workers wrote is not here; what is finished stays.
    """
    for path in (str(work.path), *(clip.path for clip in clips)):
        if not os.path.isabs(path):
            raise UserError(f"{path} is another file on a worker: give paths that begin with /")
    if clips:
        work.parts.mkdir(exist_ok=True)
        lots = [clips[i : i + _CLIPS_PER_LOT] for i in range(0, len(clips), _CLIPS_PER_LOT)]
        with _watching(work, show):
            _run(functools.partial(_crop_lot, crop=crop, parts=str(work.parts)), lots, options)
        work.collect()
    return [(clip, _outcome(clip, work)) for clip in clips]


@contextlib.contextmanager
def _watching(work: crop_store.CropStore, show: Callable[[int], None]) -> Iterator[None]:
    before, ended = work.num_known, threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            work.collect()
            show(work.num_known - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _outcome(clip: Clip, work: crop_store.CropStore) -> crop_store.Outcome:
    outcome = work.outcome(clip)
    if outcome is None:
        raise OSError(
            f"{clip.path}: {work.parts} holds nothing of it: let all workers mount that folder and "
            "the clips as they are here, and run again"
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
    except Exception as error:  # whatever a runner raises
        reason = (str(error).strip() or repr(error)).splitlines()[-1]
        raise OSError(f"the pipeline failed ({reason}): mend it and run again") from error


def _crop_lot(
    clips: Sequence[Clip], *, crop: Callable[[Clip], crop_clip.ClipCrops], parts: str
) -> None:
    """Runs on a worker: leaves the crops of `clips`, and why there are none, in a file of `parts`.

    One process crops them one by one, so that memory holds the frames of one clip.
    """
    _check_worker(pathlib.Path(parts).parent / SETTINGS)
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(limits.MAX_PIXELS)  # of that process
    with crop_store.CropStore(pathlib.Path(parts, uuid.uuid4().hex)) as part:
        for clip, outcome in workers.crop_clips(clips, part, crop, jobs=1):
            if part.outcome(clip) is None:
                part.save_failure(clip, outcome)


def _check_worker(settings: pathlib.Path) -> None:
    """Raises OSError on a worker that cannot see the work folder, or would crop otherwise."""
    if not settings.exists():
        raise OSError(f"a worker does not see {settings}: mount --root and --out on all alike")
    wanted = json.loads(settings.read_text())["versions"]
    here = versions.installed()
    if here != wanted:
        raise OSError(f"a worker has {here} and the launcher {wanted}: install the same on both")
