"""Clips to a prepared dataset on the workers of a pipeline, which write to its folder themselves.

The launcher lists the clips, and writes the index that makes the shards a dataset. It holds no
crop, neither in memory nor on disk. Workers see the clips at the same paths as the launcher, and
import this module.
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from dfjax import beam, checksums, progress, versions
from dfjax.buckets import store
from dfjax.corpora.clip import Clip
from dfjax.data import builder, leaks, unusable
from dfjax.errors import UserError
from dfjax.preparation import bookkeeping, lots
from dfjax.preparation.lots import Lot, Note
from dfjax.preparation.settings import Settings
from dfjax.preparation.summary import PreparationSummary
from dfjax.preparation.workers import Cropping


def prepare(
    clips: Sequence[Clip],
    out: str,
    settings: Settings,
    beam_options: Sequence[str],
    *,
    overwrite: bool,
) -> PreparationSummary:
    """Makes the dataset of `clips` at `out`, a folder or a URL, as `prepare.prepare` does.

    `beam_options` are those of Beam, `--runner=...` among them.

    Raises:
      UserError, OSError: as there; or a worker would take a path for another file.
    """
    cropping = bookkeeping.make_cropping(clips, settings)
    _require_absolute(out, clips)
    target, records = store.Folder(out), builder.BELOW.as_posix()
    dataset = _open_committed(target, settings.identity(clips), overwrite)
    if dataset is not None:
        return _send_rest(bookkeeping.complete(dataset, clips, is_new=False), target)
    installed = versions.installed()
    begun = {**settings.of_crops(), "versions": installed}
    before = target.read(bookkeeping.SETTINGS)
    if before is not None and not bookkeeping.is_same(out, json.loads(before), begun, overwrite):
        target.remove(bookkeeping.WORK)
    target.write(bookkeeping.SETTINGS, json.dumps(begun).encode())
    all_lots = lots.divide(clips, cropping.originals)
    noted = _make_all_lots(all_lots, cropping, target, records, beam_options)
    outcomes = {
        clip.key: outcome
        for lot, note in noted
        for clip, outcome in zip(lot.clips, note.outcomes, strict=True)
    }
    target.write(unusable.FILE, bookkeeping.errors(clips, outcomes).encode())
    usable = [clip for clip in clips if outcomes[clip.key].crops]
    counts = bookkeeping.count(clips, outcomes)
    if not usable:
        return bookkeeping.without_dataset(pathlib.Path(out), counts, settings)
    lots.commit(
        target,
        noted,
        records=records,
        cropping=cropping,
        lent=bookkeeping.lent(usable, outcomes) if settings.boxes_from_original else (),
        metadata={**settings.metadata(clips), "versions": installed, **counts},
    )
    target.remove(bookkeeping.WORK)
    dataset = builder.open_dataset(out)
    rows = ((clip.split, clip.key, clip.origin_ids) for clip in usable)
    leaks.audit_ids(dataset, rows).write(dataset)
    return _send_rest(bookkeeping.complete(dataset, clips, is_new=True), target)


def _require_absolute(out: str, clips: Sequence[Clip]) -> None:
    paths = [clip.path for clip in clips]
    for path in paths if store.is_url(out) else [out, *paths]:
        if not os.path.isabs(path):
            raise UserError(f"{path} is another file on a worker: give paths that begin with /")


def _make_all_lots(
    all_lots: Sequence[Lot],
    cropping: Cropping,
    target: store.Folder,
    records: str,
    beam_options: Sequence[str],
) -> list[tuple[Lot, Note]]:
    """Every lot and its note; makes those that have none, or one of a clip that failed."""
    there = target.sizes(lots.NOTES)
    noted = {lot.note: lots.read(target, lot) for lot in all_lots if lot.note in there}
    missing = [
        lot
        for lot in all_lots
        if (note := noted.get(lot.note)) is None or any(each.failed for each in note.outcomes)
    ]
    for lot in missing:
        if lot.note in there:  # it would count as made
            target.remove(lot.note)
    num_clips = sum(len(lot.clips) for lot in all_lots)
    num_before = num_clips - sum(len(lot.clips) for lot in missing)
    with progress.Progress("cropping", num_clips, start=num_before, unit="clips") as bar:
        if missing:
            watched = beam.watching(
                lambda: lots.num_clips(target, missing),
                lambda num_made: bar.update(num_before + num_made),
            )
            # Each lot brings the originals that it needs: those of a corpus are many.
            lean = dataclasses.replace(cropping, originals=cropping.originals and {})
            task = functools.partial(_make_lot, cropping=lean, target=target.url, records=records)
            with watched:
                beam.run(task, missing, beam_options)
        noted |= {lot.note: lots.read(target, lot) for lot in missing}
        bar.update(num_clips)
    for lot in all_lots:
        if noted[lot.note] is None:
            raise OSError(
                f"{target.url} holds nothing of {lot.clips[0].path}: use a bucket, or mount --out "
                "at the same path on all workers, and run again"
            )
    return [(lot, noted[lot.note]) for lot in all_lots]


def _make_lot(lot: Lot, *, cropping: Cropping, target: str, records: str) -> None:
    """Runs on a worker."""
    beam.require_same_versions(store.Folder(target), bookkeeping.SETTINGS, "--out")
    lots.make(lot, cropping, target, records)


def _open_committed(
    target: store.Folder, identity: dict[str, Any], overwrite: bool
) -> builder.Dataset | None:
    """The complete dataset in the target; removes another one if it may be overwritten."""
    records = builder.BELOW.as_posix()
    if target.read(f"{records}/{checksums.FILE}") is None:
        return None
    try:
        dataset = builder.open_dataset(target.url)
    except UserError:  # it is damaged, or of a format that is not read
        if not overwrite:
            raise
    else:
        if bookkeeping.is_same(target.url, dataset.metadata, identity, overwrite):
            target.remove(bookkeeping.WORK)  # a run may have ended just before that
            return dataset
    target.remove(f"{records}/{checksums.FILE}")  # first: without it, the rest does not count
    target.remove(records)
    return None


def _send_rest(made: PreparationSummary, target: store.Folder) -> PreparationSummary:
    """Copies what lies beside the records of a dataset in a store, and was made in its copy."""
    if store.is_url(target.url):
        for path in sorted(made.out.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                target.put(path, path.name)
    return made
