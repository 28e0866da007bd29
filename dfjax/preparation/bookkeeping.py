"""What every preparation writes down: counts, failures, the audit and the card of its dataset."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from dfjax import files
from dfjax.corpora.clip import Clip
from dfjax.data import attributes, builder, leaks
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.preparation import dataset_card, summary
from dfjax.preparation.crop_store import Outcome
from dfjax.preparation.settings import Settings, differences
from dfjax.preparation.summary import PreparationSummary
from dfjax.preparation.workers import Cropping

WORK = "work"
"""The folder below the output folder for what is not finished."""
SETTINGS = "work/settings.json"
"""How the crops there are made, and by which packages."""


def make_cropping(clips: Sequence[Clip], settings: Settings) -> Cropping:
    """Returns how the crops of clips are made.

    Raises:
      UserError: boxes are to come from originals, and there is no original.
    """
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


def lent(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> set[str]:
    """Returns the keys of the fakes that were cut where their originals show faces."""
    return {clip.key for clip in clips if clip.label and not outcomes[clip.key].own_boxes}


def is_same(
    out: str | os.PathLike, old: dict[str, Any], new: dict[str, Any], overwrite: bool
) -> bool:
    """Returns whether `out` was made as it is to be made now.

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


def errors(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> str:
    """Returns the lines of errors.jsonl."""
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
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def count(clips: Sequence[Clip], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Returns what the metadata of a dataset count."""
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


def without_dataset(
    out: pathlib.Path, counts: dict[str, Any], settings: Settings
) -> PreparationSummary:
    """Returns the summary of clips of which none gave a crop."""
    return PreparationSummary(
        out,
        counts["coverage"],
        counts["notes"],
        counts["own_boxes"],
        settings.synthetic,
        is_new=True,
    )


def complete(
    dataset: builder.Dataset, clips: Sequence[Clip], *, is_new: bool
) -> PreparationSummary:
    """Returns the summary of a dataset.

    Writes the audit and the card if they are missing or outdated, and the attributes of its clips
    again: they may have come since.
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
