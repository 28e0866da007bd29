"""Clips to a prepared dataset: makes what is missing, lists failures, does nothing twice.

In the output folder, `work/` holds the crops of finished clips until the dataset is complete,
`face_crops/` appears when it is complete, and `errors.jsonl` names every clip that gave no crop. A
run may end at any moment: the next one continues, and the records are the same. Workers of a
pipeline leave finished shards there instead (`lots`), whose index makes them a dataset. At the end,
`audit.json` says what the splits share, `attributes.csv` what else the manifest says of clips, and
`dataset_card.html` shows the dataset.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from dfjax import files, progress, versions
from dfjax.buckets import data as bucket_data
from dfjax.buckets import store as bucket_store
from dfjax.corpora.clip import Clip
from dfjax.data import builder, leaks, unusable
from dfjax.errors import UserError
from dfjax.faces.detect import FaceDetector
from dfjax.media import suffix
from dfjax.preparation import bookkeeping, distributed, workers
from dfjax.preparation.crop_store import CropStore, Outcome
from dfjax.preparation.settings import Settings
from dfjax.preparation.summary import PreparationSummary
from dfjax.preparation.workers import Cropping

# What a stored face takes: of 95 % of DFDC's small, smooth ones, 0.19 and 0.87 or more.
_LEAST_BYTES_PER_PIXEL = {"jpeg": 0.15, "png": 0.7}


def prepare(
    clips: Sequence[Clip],
    out: str | os.PathLike,
    settings: Settings,
    *,
    jobs: int = 1,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
) -> PreparationSummary:
    """Makes the dataset of `clips` at `out`, or finishes what an earlier run began.

    `out` is a folder, or the URL of one in a store: then the dataset is made in a folder of this
    machine (`buckets.data.Publication`), and copied shard by shard.

    `jobs` local processes crop the clips or, if `beam_options` names a `--runner`, the workers of
    an Apache Beam pipeline, which write to `out` themselves. The records depend on neither, nor on
    interruptions, but only on clips and settings; their order depends on whether a pipeline made
    them. `overwrite` replaces what other clips or settings left in `out`.

    Raises:
      UserError: `out` holds the work of other clips or settings, and `overwrite` is False; or boxes
        are to come from originals, and there is no original; or a worker would take a path for
        another file.
      FileNotFoundError: a model of the face detector is missing.
      OSError: `out` cannot be written, or the pipeline failed.
    """
    if settings.spec.crops == "align":
        FaceDetector(settings.spec)  # a missing model is one error, not one for every clip
    if beam_options:
        return distributed.prepare(
            clips, os.fspath(out), settings, beam_options, overwrite=overwrite
        )
    if not bucket_store.is_url(out):
        return _prepare(clips, pathlib.Path(out), settings, jobs, overwrite, None)
    publication = bucket_data.Publication(os.fspath(out), builder.BELOW.as_posix())
    publication.require_free(overwrite=overwrite)
    send = publication.send_shard
    made = _prepare(clips, publication.path, settings, jobs, overwrite, send)
    publication.finish()
    return made


def _prepare(
    clips: Sequence[Clip],
    out: pathlib.Path,
    settings: Settings,
    jobs: int,
    overwrite: bool,
    shard_written: Callable[[pathlib.Path], None] | None,
) -> PreparationSummary:
    cropping = bookkeeping.make_cropping(clips, settings)
    dataset = _open_finished(out, settings.identity(clips), overwrite)
    if dataset is not None:
        return bookkeeping.complete(dataset, clips, is_new=False)
    installed = versions.installed()
    _begin(out, {**settings.of_crops(), "versions": installed}, overwrite)
    with CropStore(out / bookkeeping.WORK / "crops") as store:
        outcomes = _crop_all(clips, store, cropping, out / unusable.FILE, jobs=jobs)
        usable = [clip for clip in clips if outcomes[clip.key].crops]
        counts = bookkeeping.count(clips, outcomes)
        if not usable:
            return bookkeeping.without_dataset(out, counts, settings)
        dataset = builder.write_dataset(
            out,
            clips=usable,
            crops_of=store.crops,
            size=settings.spec.size,
            encoding=settings.spec.encoding,
            lent=bookkeeping.lent(usable, outcomes) if settings.boxes_from_original else (),
            shard_written=shard_written,
            metadata={**settings.metadata(clips), "versions": installed, **counts},
        )
    shutil.rmtree(out / bookkeeping.WORK)
    rows = ((clip.split, clip.key, clip.origin_ids) for clip in usable)
    leaks.audit_ids(dataset, rows).write(dataset)
    return bookkeeping.complete(dataset, clips, is_new=True)


def _open_finished(
    out: pathlib.Path, identity: dict[str, Any], overwrite: bool
) -> builder.Dataset | None:
    """The complete dataset in `out`; removes another one if it may be overwritten."""
    folder = builder.dataset_dir(out)
    if not folder.is_dir():
        return None
    try:
        dataset = builder.open_dataset(out)
    except UserError:  # it is damaged, or of a format that is not read
        if not overwrite:
            raise
        shutil.rmtree(folder)
        return None
    if bookkeeping.is_same(out, dataset.metadata, identity, overwrite):
        shutil.rmtree(
            out / bookkeeping.WORK, ignore_errors=True
        )  # a run may have ended just before this line
        return dataset
    shutil.rmtree(folder)
    return None


def _begin(out: pathlib.Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Makes the work folder, or keeps it if an earlier run of the same settings began it."""
    note = out / bookkeeping.SETTINGS
    if note.exists() and not bookkeeping.is_same(
        out, json.loads(note.read_text()), settings, overwrite
    ):
        shutil.rmtree(out / bookkeeping.WORK)
    files.replace_json(note, settings)


def _crop_all(
    clips: Sequence[Clip],
    store: CropStore,
    cropping: Cropping,
    errors_file: pathlib.Path,
    *,
    jobs: int,
) -> dict[str, Outcome]:
    """The outcome of every clip by key; crops the unfinished clips, and lists those that failed."""
    stored = {clip.key: store.outcome(clip) for clip in clips}
    outcomes = {key: outcome for key, outcome in stored.items() if outcome and not outcome.failed}
    unfinished = [clip for clip in clips if clip.key not in outcomes]
    num_bytes = _least_bytes(clips, cropping) + _least_bytes(unfinished, cropping)
    files.require_space(store.path.parent, num_bytes, f"the crops of {len(clips)} clips, twice,")
    num_errors = sum(bool(outcome.code) for outcome in outcomes.values())
    try:
        with progress.Progress("cropping", len(clips), start=len(outcomes), unit="clips") as bar:
            for clip, outcome in workers.crop_clips(unfinished, store, cropping, jobs=jobs):
                outcomes[clip.key] = outcome
                num_errors += bool(outcome.code)
                bar.update(len(outcomes), errors=num_errors)
    finally:
        errors_file.write_text(bookkeeping.errors(clips, outcomes))
    return outcomes


def _least_bytes(clips: Sequence[Clip], cropping: Cropping) -> float:
    """What the crops of clips take at least, if each frame shows a face."""
    num_crops = sum(_num_frames(clip.path, cropping.num_frames) for clip in clips)
    return num_crops * cropping.spec.size**2 * _LEAST_BYTES_PER_PIXEL[cropping.spec.encoding]


def _num_frames(path: str, most: int) -> int:
    if os.path.isdir(path):
        return min(most, len(os.listdir(path)))
    return most if suffix.is_video(path) else 1
