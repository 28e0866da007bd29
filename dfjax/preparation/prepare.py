"""Clips to a prepared dataset: what is missing is made, failures are listed, nothing is done twice.

In the output folder, `work/` keeps the crops of finished clips until the dataset is complete,
`face_crops/` appears only complete, and `errors.jsonl` names every clip that gave no crop. A run
may end at any moment: the next one continues, and the records come out the same. At the end
`audit.json` says what the splits share, and `report.html` what the dataset is.
"""

import collections
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import rich.box
import rich.console
import rich.table

from dfjax import progress, versions
from dfjax.corpora.clip import Clip
from dfjax.corpora.splits import SPLITS
from dfjax.data import builder, leaks
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.preparation import beam, crop_clip, crop_store, data_card, workers

_CLASSES = ("real", "fake")  # by label
_COUNTS = ("clips", "failed", "no_face", "damaged", "frames", "frames_with_face", "crops")
_WORK, _ERRORS = "work", "errors.jsonl"
_UNEVEN_ABOVE = 0.05  # a difference in coverage between the classes that a model could exploit

Coverage = dict[str, dict[str, dict[str, int]]]


@dataclasses.dataclass(frozen=True)
class Report:
    """What lies in the output folder now.

    `coverage[split][class]` counts clips, those of them that failed, had no_face or were damaged,
    then frames, frames_with_face and crops. `synthetic` says that a program drew the clips.
    `own_boxes` counts fakes that their originals could not lend boxes, where that was asked for.
    `is_new` is False where an earlier run had done it all. `audit` is what audit.json holds, None
    where no dataset was written.
    """

    dataset: pathlib.Path
    errors_file: pathlib.Path
    coverage: Coverage
    synthetic: bool
    is_new: bool
    audit: leaks.Audit | None = None
    own_boxes: int = 0

    @property
    def num_crops(self) -> int:
        """Crops in the dataset; 0 if none was usable, and no dataset was written."""
        return _total(self.coverage, "crops")

    @property
    def num_errors(self) -> int:
        """Clips that gave no crop: the rows of `errors_file`."""
        return _total(self.coverage, "failed") + _total(self.coverage, "no_face")


def prepare(
    clips: Sequence[Clip],
    out: str | os.PathLike,
    *,
    spec: CropSpec,
    num_frames: int = 32,
    boxes_from_original: bool = False,
    seed: int = 0,
    synthetic: bool = False,
    jobs: int = 1,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
) -> Report:
    """Makes the dataset of `clips` in the folder `out`, or finishes what an earlier run began.

    `jobs` local processes find the faces or, where `beam_options` names a `--runner`, the workers
    of an Apache Beam pipeline. Records depend on clips, spec, num_frames and boxes_from_original
    alone, not on that or on interruptions. `boxes_from_original` cuts fakes where the faces of
    their originals are, see `crop_clip.crop_clip`. `seed` (of the splits) and `synthetic` are noted
    in the metadata. `overwrite` replaces what other clips or settings left in `out`.

    Raises:
      UserError: `out` belongs to other clips or settings, and `overwrite` is not set; or there is
        no original whose boxes a fake could be given.
      FileNotFoundError: a model of the face finder is missing.
      OSError: `out` cannot be written, or the pipeline failed.
    """
    if spec.crops == "align":
        FaceDetector(spec)  # a missing model is one error, not one for every clip
    out = pathlib.Path(out)
    originals = _originals(clips, spec) if boxes_from_original else None
    settings = {"crop_spec": spec.to_json(), "frames": num_frames}
    settings["boxes_from_original"] = boxes_from_original
    identity = {**settings, "clips": _digest(clips)}
    report = _finished(out, identity, overwrite)
    if report is not None:
        return report
    packages = versions.installed()
    _begin(out, {**settings, "versions": packages}, overwrite)
    crop = functools.partial(
        crop_clip.crop_clip, spec=spec, num_frames=num_frames, originals=originals
    )
    with crop_store.CropStore(out / _WORK / "crops") as work:
        outcomes = _crop(clips, work, crop, out / _ERRORS, jobs=jobs, beam_options=beam_options)
        coverage = _coverage(clips, outcomes)
        own_boxes = sum(outcome.own_boxes for outcome in outcomes.values())
        report = Report(
            builder.dataset_dir(out), out / _ERRORS, coverage, synthetic, True, own_boxes=own_boxes
        )
        if report.num_crops == 0:
            return report
        origin = {"corpus": clips[0].key.split("/")[0], "seed": seed, "synthetic": synthetic}
        counts = {
            "coverage": coverage,
            "methods": _count_methods(clips, outcomes),
            "warnings": _warnings(coverage),
            "own_boxes": own_boxes,
        }
        used = [clip for clip in clips if outcomes[clip.key].crops]
        builder.write_dataset(
            out,
            clips=used,
            crops_of=work.crops,
            size=spec.size,
            encoding=spec.encoding,
            metadata={**identity, **origin, "versions": packages, **counts},
        )
    shutil.rmtree(out / _WORK)
    leaks.audit_ids(out, ((clip.split, clip.key, clip.origin_ids) for clip in used)).write(out)
    return _with_audit(report, out)


def _originals(clips: Sequence[Clip], spec: CropSpec) -> dict[str, str]:
    """Returns the paths of the clips that fakes were made from, by key."""
    wanted = {clip.original for clip in clips}
    originals = {clip.key: clip.path for clip in clips if clip.key in wanted}
    if not originals or spec.crops != "align":
        raise UserError(
            "boxes from originals need aligned faces, and a corpus that says what each fake was "
            "made from: leave --boxes-from-original out"
        )
    return originals


def print_report(report: Report) -> None:
    """Prints what was written where, the coverage table, and what a reader should be wary of."""
    console = rich.console.Console(soft_wrap=True)
    state = "written to" if report.is_new else "complete since an earlier run in"
    if report.num_crops:
        console.print(f"{report.num_crops} crops {state} {report.dataset}")
    else:
        console.print("no clip gave a crop: no dataset was written")
    if report.synthetic:
        console.print("synthetic: drawn by a program; scores say nothing about real forgeries")
    console.print(_table(report.coverage))
    shared = report.audit.blocking if report.audit else ()
    leaking = [f"{leaks.describe(shared)}: training refuses this dataset"] if shared else []
    for warning in [*_warnings(report.coverage), *leaking]:
        console.print(f"warning: {warning}", style="yellow")
    if report.own_boxes:
        console.print(f"fakes with boxes of their own, as no original fits: {report.own_boxes}")
    if report.num_errors:
        console.print(f"{report.num_errors} clips gave no crop: see {report.errors_file}")
    if report.audit:
        console.print(f"what is in it: {report.errors_file.with_name(data_card.HTML)}")


def _digest(clips: Sequence[Clip]) -> str:
    """Returns a text that changes with anything in the records that the clips decide."""
    rows = sorted(
        (
            clip.key,
            clip.label,
            clip.method,
            clip.split,
            clip.origin_ids,
            crop_store.size_of(clip.path),
        )
        for clip in clips
    )
    return f"{len(clips)} clips, sha256 {hashlib.sha256(repr(rows).encode()).hexdigest()[:16]}"


def _finished(out: pathlib.Path, identity: dict[str, Any], overwrite: bool) -> Report | None:
    """Returns the report of a complete dataset; removes one of something else if that is wanted."""
    dataset = builder.dataset_dir(out)
    if not dataset.is_dir():
        return None
    try:
        metadata = builder.open_dataset(out).metadata
    except ValueError:  # it is damaged, or of a format that is not read
        if not overwrite:
            raise
        shutil.rmtree(dataset)
        return None
    if _is_same(out, {name: metadata.get(name) for name in identity}, identity, overwrite):
        shutil.rmtree(out / _WORK, ignore_errors=True)  # of a run that ended just before this line
        report = Report(
            dataset,
            out / _ERRORS,
            metadata["coverage"],
            metadata["synthetic"],
            is_new=False,
            own_boxes=metadata["own_boxes"],
        )
        return _with_audit(report, out)
    shutil.rmtree(dataset)
    return None


def _with_audit(report: Report, out: pathlib.Path) -> Report:
    """Returns the report of a dataset with its audit; makes what is missing beside the dataset."""
    audit = leaks.read(out)
    if audit is None:
        audit = leaks.audit_ids(out, leaks.rows(out))
        audit.write(out)
    if not data_card.is_current(out):
        data_card.write(out)
    return dataclasses.replace(report, audit=audit)


def _begin(out: pathlib.Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Makes the work folder, or keeps what an earlier run of the same settings left in it."""
    note = out / _WORK / beam.SETTINGS
    if note.exists() and not _is_same(out, json.loads(note.read_text()), settings, overwrite):
        shutil.rmtree(out / _WORK)
    note.parent.mkdir(parents=True, exist_ok=True)
    unfinished = note.with_suffix(".tmp")
    unfinished.write_text(json.dumps(settings))
    os.replace(unfinished, note)


def _is_same(
    out: pathlib.Path, there: dict[str, Any], wanted: dict[str, Any], overwrite: bool
) -> bool:
    """Returns whether `out` holds what is wanted.

    Raises:
      UserError: it does not, and may not be overwritten.
    """
    there, wanted = _flat(there), _flat(wanted)
    differences = [
        f"{name} {there.get(name)!r} instead of {value!r}"
        for name, value in wanted.items()
        if there.get(name) != value
    ]
    if differences and not overwrite:
        raise UserError(
            f"{out} was made with {', '.join(differences)}: ask for the same, choose another --out "
            "or add --overwrite"
        )
    return not differences


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    flat = {**settings, **settings["crop_spec"], **settings.get("versions", {})}
    return {name: flat[name] for name in flat if name not in ("crop_spec", "versions")}


def _crop(
    clips: Sequence[Clip],
    work: crop_store.CropStore,
    crop: Callable[[Clip], crop_clip.ClipCrops],
    errors_file: pathlib.Path,
    *,
    jobs: int,
    beam_options: Sequence[str],
) -> dict[str, crop_store.Outcome]:
    """Returns the outcome of every clip by key; only unfinished clips are cropped."""
    earlier = {clip.key: work.outcome(clip) for clip in clips}
    outcomes = {key: outcome for key, outcome in earlier.items() if outcome and not outcome.failed}
    unfinished = [clip for clip in clips if clip.key not in outcomes]
    try:
        done = len(outcomes)
        with progress.Progress("cropping", len(clips), start=done, unit="clips") as bar:
            num_errors = sum(bool(outcome.code) for outcome in outcomes.values())
            if beam_options:
                found = beam.crop_clips(
                    unfinished,
                    work,
                    crop,
                    options=beam_options,
                    show=lambda more: bar.update(done + more),
                )
            else:
                found = workers.crop_clips(unfinished, work, crop, jobs=jobs)
            for clip, outcome in found:
                outcomes[clip.key] = outcome
                num_errors += bool(outcome.code)
                bar.update(len(outcomes), errors=num_errors)
    finally:
        _write_errors(errors_file, clips, outcomes)
    return outcomes


def _write_errors(
    path: pathlib.Path, clips: Sequence[Clip], outcomes: dict[str, crop_store.Outcome]
) -> None:
    rows = [
        {
            "key": clip.key,
            "path": clip.path,
            "label": clip.label,
            "split": clip.split,
            "code": outcomes[clip.key].code,
            "message": outcomes[clip.key].message,
        }
        for clip in clips
        if clip.key in outcomes and outcomes[clip.key].code
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _coverage(clips: Sequence[Clip], outcomes: dict[str, crop_store.Outcome]) -> Coverage:
    counts: Coverage = {}
    for split in SPLITS:
        if any(clip.split == split for clip in clips):
            counts[split] = {name: dict.fromkeys(_COUNTS, 0) for name in _CLASSES}
    for clip in clips:
        outcome, count = outcomes[clip.key], counts[clip.split][_CLASSES[clip.label]]
        count["clips"] += 1
        count["failed"] += outcome.failed
        count["no_face"] += outcome.code == "no_face"
        count["damaged"] += outcome.damaged
        count["frames"] += outcome.frames
        count["frames_with_face"] += outcome.frames_with_face
        count["crops"] += outcome.crops
    return counts


def _count_methods(
    clips: Sequence[Clip], outcomes: dict[str, crop_store.Outcome]
) -> list[dict[str, Any]]:
    """Clips, those that failed or had no face, and crops, by split, class and method."""
    counts: dict[tuple[str, int, str], collections.Counter] = {}
    for clip in clips:
        outcome = outcomes[clip.key]
        place = SPLITS.index(clip.split), clip.label, clip.method
        count = counts.setdefault(place, collections.Counter())
        count["clips"] += 1
        count["failed"] += outcome.failed
        count["no_face"] += outcome.code == "no_face"
        count["crops"] += outcome.crops
    return [
        {"split": SPLITS[split], "class": _CLASSES[label], "method": method, **count}
        for (split, label, method), count in sorted(counts.items())
    ]


def _total(coverage: Coverage, name: str) -> int:
    return sum(counts[name] for classes in coverage.values() for counts in classes.values())


def _share(counts: dict[str, int]) -> float:
    return counts["frames_with_face"] / max(1, counts["frames"])


def _table(coverage: Coverage) -> rich.table.Table:
    table = rich.table.Table(
        title="coverage: share of the frames that gave a crop",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("split")
    table.add_column("class")
    for name in ("clips", "failed", "no face", "damaged", "frames", "coverage", "crops"):
        table.add_column(name, justify="right")
    for split, classes in coverage.items():
        for name, counts in classes.items():
            share = f"{_share(counts):.1%}" if counts["frames"] else "-"
            cells = [f"{counts[column]}" for column in _COUNTS if column != "frames_with_face"]
            table.add_row(split, name, *cells[:-1], share, cells[-1])
    return table


def _warnings(coverage: Coverage) -> list[str]:
    warnings = []
    for split, classes in coverage.items():
        real, fake = classes["real"], classes["fake"]
        for name, counts in classes.items():
            if not counts["crops"]:
                warnings.append(f"{split} has no {name} crop: no training and no AUC on it")
        if real["crops"] and fake["crops"] and abs(_share(real) - _share(fake)) > _UNEVEN_ABOVE:
            warnings.append(
                f"{split}: a face is found in {_share(real):.0%} of real frames but in "
                f"{_share(fake):.0%} of fake ones: scores will favour what is easy to find"
            )
    if num_damaged := _total(coverage, "damaged"):
        warnings.append(f"{num_damaged} videos decode only in part: what decodes was used")
    return warnings
