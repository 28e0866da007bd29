"""Clips to a prepared dataset: makes what is missing, lists failures, does nothing twice.

In the output folder, `work/` holds the crops of finished clips until the dataset is complete,
`face_crops/` appears when it is complete, and `errors.jsonl` names every clip that gave no crop. A
run may end at any moment: the next one continues, and the records are the same. At the end,
`audit.json` says what the splits share, `attributes.csv` what else the manifest says of clips, and
`dataset_card.html` shows the dataset.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dfjax import files, progress, versions
from dfjax.buckets import data as bucket_data
from dfjax.buckets import store as bucket_store
from dfjax.corpora.clip import Clip
from dfjax.data import attributes, builder, leaks, unusable
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.media import suffix
from dfjax.preparation import beam, dataset_card, summary, workers
from dfjax.preparation.crop_store import CropStore, Outcome
from dfjax.preparation.settings import Settings, differences
from dfjax.preparation.summary import PreparationSummary
from dfjax.preparation.workers import Cropping

_WORK = "work"
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
    an Apache Beam pipeline. The records depend on neither, nor on interruptions, but only on clips
    and settings. `overwrite` replaces what other clips or settings left in `out`.

    Raises:
      UserError: `out` holds the work of other clips or settings, and `overwrite` is False; or boxes
        are to come from originals, and there is no original.
      FileNotFoundError: a model of the face detector is missing.
      OSError: `out` cannot be written, or the pipeline failed.
    """
    if settings.spec.crops == "align":
        FaceDetector(settings.spec)  # a missing model is one error, not one for every clip
    if not bucket_store.is_url(out):
        return _prepare(clips, pathlib.Path(out), settings, jobs, beam_options, overwrite, None)
    publication = bucket_data.Publication(os.fspath(out), builder.BELOW.as_posix())
    publication.require_free(overwrite=overwrite)
    arguments = (clips, publication.path, settings, jobs, beam_options, overwrite)
    made = _prepare(*arguments, publication.send_shard)
    publication.finish()
    return made


def _prepare(
    clips: Sequence[Clip],
    out: pathlib.Path,
    settings: Settings,
    jobs: int,
    beam_options: Sequence[str],
    overwrite: bool,
    shard_written: Callable[[pathlib.Path], None] | None,
) -> PreparationSummary:
    cropping = _cropping(clips, settings)
    dataset = _open_finished(out, settings.identity(clips), overwrite)
    if dataset is not None:
        return _complete(dataset, clips, is_new=False)
    installed = versions.installed()
    _begin(out, {**settings.of_crops(), "versions": installed}, overwrite)
    with CropStore(out / _WORK / "crops") as store:
        outcomes = _crop_all(
            clips, store, cropping, out / unusable.FILE, jobs=jobs, beam_options=beam_options
        )
        usable = [clip for clip in clips if outcomes[clip.key].crops]
        counts = _counts(clips, outcomes)
        if not usable:
            return PreparationSummary(
                out,
                counts["coverage"],
                counts["notes"],
                counts["own_boxes"],
                settings.synthetic,
                is_new=True,
            )
        dataset = builder.write_dataset(
            out,
            clips=usable,
            crops_of=store.crops,
            size=settings.spec.size,
            encoding=settings.spec.encoding,
            lent=_lent(usable, outcomes) if settings.boxes_from_original else (),
            shard_written=shard_written,
            metadata={**settings.metadata(clips), "versions": installed, **counts},
        )
    shutil.rmtree(out / _WORK)
    rows = ((clip.split, clip.key, clip.origin_ids) for clip in usable)
    leaks.audit_ids(dataset, rows).write(dataset)
    return _complete(dataset, clips, is_new=True)


def _cropping(clips: Sequence[Clip], settings: Settings) -> Cropping:
    originals = _originals(clips, settings.spec) if settings.boxes_from_original else None
    return Cropping(settings.spec, settings.num_frames, originals)


def _originals(clips: Sequence[Clip], spec: CropSpec) -> dict[str, str]:
    """The paths of the clips that fakes were made from, by key."""
    keys = {clip.original for clip in clips}
    originals = {clip.key: clip.path for clip in clips if clip.key in keys}
    if not originals or spec.crops != "align":
        raise UserError(
            "boxes from originals need aligned faces, and a corpus that says what each fake was "
            "made from: leave --boxes-from-original out"
        )
    return originals


def _lent(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> set[str]:
    """The keys of the fakes that were cut where their originals show faces."""
    return {clip.key for clip in clips if clip.label and not outcomes[clip.key].own_boxes}


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
    if _is_same(out, dataset.metadata, identity, overwrite):
        shutil.rmtree(out / _WORK, ignore_errors=True)  # a run may have ended just before this line
        return dataset
    shutil.rmtree(folder)
    return None


def _begin(out: pathlib.Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Makes the work folder, or keeps it if an earlier run of the same settings began it."""
    note = out / _WORK / beam.SETTINGS
    if note.exists() and not _is_same(out, json.loads(note.read_text()), settings, overwrite):
        shutil.rmtree(out / _WORK)
    files.replace_json(note, settings)


def _is_same(out: pathlib.Path, old: dict[str, Any], new: dict[str, Any], overwrite: bool) -> bool:
    """Whether `out` was made as it is to be made now.

    Raises:
      UserError: it was not, and may not be overwritten.
    """
    changes = list(differences(old, new))
    if changes and not overwrite:
        raise UserError(
            f"{out} was made with {', '.join(changes)}: ask for the same, choose another --out or "
            "add --overwrite"
        )
    return not changes


def _crop_all(
    clips: Sequence[Clip],
    store: CropStore,
    cropping: Cropping,
    errors_file: pathlib.Path,
    *,
    jobs: int,
    beam_options: Sequence[str],
) -> dict[str, Outcome]:
    """The outcome of every clip by key; crops the unfinished clips, and lists those that failed."""
    stored = {clip.key: store.outcome(clip) for clip in clips}
    outcomes = {key: outcome for key, outcome in stored.items() if outcome and not outcome.failed}
    unfinished = [clip for clip in clips if clip.key not in outcomes]
    num_bytes = _least_bytes(clips, cropping) + _least_bytes(unfinished, cropping)
    files.require_space(store.path.parent, num_bytes, f"the crops of {len(clips)} clips, twice,")
    num_errors = sum(bool(outcome.code) for outcome in outcomes.values())
    num_before = len(outcomes)
    try:
        with progress.Progress("cropping", len(clips), start=num_before, unit="clips") as bar:
            for clip, outcome in _crop_unfinished(
                unfinished,
                store,
                cropping,
                jobs=jobs,
                beam_options=beam_options,
                show=lambda num_finished: bar.update(num_before + num_finished),
            ):
                outcomes[clip.key] = outcome
                num_errors += bool(outcome.code)
                bar.update(len(outcomes), errors=num_errors)
    finally:
        _write_errors(errors_file, clips, outcomes)
    return outcomes


def _least_bytes(clips: Sequence[Clip], cropping: Cropping) -> float:
    """What the crops of clips take at least, if each frame shows a face."""
    num_crops = sum(_num_frames(clip.path, cropping.num_frames) for clip in clips)
    return num_crops * cropping.spec.size**2 * _LEAST_BYTES_PER_PIXEL[cropping.spec.encoding]


def _num_frames(path: str, most: int) -> int:
    if os.path.isdir(path):
        return min(most, len(os.listdir(path)))
    return most if suffix.is_video(path) else 1


def _crop_unfinished(
    clips: Sequence[Clip],
    store: CropStore,
    cropping: Cropping,
    *,
    jobs: int,
    beam_options: Sequence[str],
    show: Callable[[int], None],
) -> Iterator[tuple[Clip, Outcome]]:
    if beam_options:
        yield from beam.crop_clips(clips, store, cropping, options=beam_options, show=show)
    else:
        yield from workers.crop_clips(clips, store, cropping, jobs=jobs)


def _write_errors(
    path: pathlib.Path, clips: Sequence[Clip], outcomes: Mapping[str, Outcome]
) -> None:
    rows = [
        {
            "key": clip.key,
            "path": files.legible(clip.path),
            "label": clip.label,
            "split": clip.split,
            "code": outcomes[clip.key].code,
            "message": files.legible(outcomes[clip.key].message),
        }
        for clip in clips
        if clip.key in outcomes and outcomes[clip.key].code
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _counts(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """What the metadata of a dataset count."""
    coverage, orphans = summary.count_by_class(clips, outcomes), summary.count_orphans(clips)
    notes = summary.count_notes(outcomes.values())
    return {
        "coverage": coverage,
        "methods": summary.count_by_method(clips, outcomes),
        "orphans": orphans,
        "notes": notes,
        "warnings": [*summary.warnings(coverage, notes), *summary.orphan_warnings(orphans)],
        "own_boxes": sum(outcome.own_boxes for outcome in outcomes.values()),
    }


def _complete(
    dataset: builder.Dataset, clips: Sequence[Clip], *, is_new: bool
) -> PreparationSummary:
    """The summary of a dataset; writes the audit and the card if they are missing or outdated.

    The attributes of its clips are written again: they may have come since.
    """
    attributes.write(dataset.path, clips)
    audit = leaks.read(dataset)
    if audit is None:
        audit = leaks.audit_ids(dataset, leaks.rows(dataset))
        audit.write(dataset)
    if not dataset_card.is_current(dataset):
        dataset_card.write(dataset)
    metadata = dataset.metadata
    return PreparationSummary(
        dataset.path,
        metadata["coverage"],
        metadata.get("notes", {}),
        metadata["own_boxes"],
        metadata["synthetic"],
        is_new=is_new,
        audit=audit,
    )
