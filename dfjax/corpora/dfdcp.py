"""DFDC preview: 1,131 videos of paid actors, and 4,119 in which two methods swap their faces.

Dolhansky et al., 2019, arXiv 1910.08854. Below the root, or below dfdc_preview_set/ in it:

    original_videos/643049/643049_A_001.mp4                   <actor>_<recording>_<number>
    method_A/1003254/1003254_A/1255229_1003254_A_001.mp4      <donor>_<original>
    method_B/...
    dataset.json      {path: {"label": "real", "set": "train", "target_id": ..., "swapped_id": ...}}

The second folder may be videos/, or frames/ with a folder of frames for each video. dataset.json
decides the label, and the first folder must agree. Clips are identified by their paths, since the
two methods use the same file names.

The split into train and test is the owners'. val is dealt from train; the videos of an actor and
all fakes made from them stay together. Donors may be in both: almost every actor is swapped with
others. strict drops clips that share an actor with test.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from dfjax import registry
from dfjax.corpora import label_file, layout, splits
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_LIST = "dataset.json"
_REALS = "original_videos"
_FOLDERS = (_REALS, "method_A", "method_B")
_COUNTS = (("train", 0, 855), ("train", 1, 3618), ("test", 0, 276), ("test", 1, 501))


@registry.register("corpus", "dfdcp")
def read_dfdcp(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `shares` deals out the owners' train to train and val.

    Raises:
      UserError: dataset.json is missing, not understood, or contradicts the folders.
    """
    root = layout.require_folder(root)
    if not (root / _LIST).exists():
        root = layout.find_folder(root, "dfdc_preview_set") or root
    entries, paths = _read_list(root / _LIST), _list_videos(root)
    layout.warn("dfdcp", f"videos of {_LIST} are missing", entries.keys() - paths.keys())
    layout.warn("dfdcp", f"videos left out: not in {_LIST}", paths.keys() - entries.keys())
    clips = [
        layout.make_clip(
            "dfdcp", root, paths[name],
            method="real" if entry["label"] == "real" else name.split("/")[0],
            split=entry["set"], origin_ids=_origin_ids(name, entry),
        )
        for name, entry in entries.items()
        if name in paths
    ]  # fmt: skip
    _check_counts(clips)
    clips = _hold_out_val(layout.link_originals(clips), seed, shares)
    if strict:
        clips = splits.drop_leaks("dfdcp", clips, keep=("test",))
    return layout.check_clips(root, clips)


def _read_list(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Returns the checked entries of dataset.json, by path without suffix."""
    entries = {}
    for text, entry in label_file.read_json(path).items():
        where = f"{path}: {text}"
        name = label_file.relative_path(text, where).with_suffix("").as_posix()
        if entries.setdefault(name, entry) is not entry:
            raise UserError(f"{where} occurs twice: download the file again")
        _check_entry(entry, where, name.split("/")[0])
    return entries


def _check_entry(entry: Any, where: str, folder: str) -> None:
    if not isinstance(entry, dict) or entry.get("label") not in ("real", "fake"):
        raise UserError(
            f'{where}: {entry!r} has no "label" that is "real" or "fake": download it again'
        )
    if entry.get("set") not in ("train", "test"):
        raise UserError(
            f'{where}: {entry!r} has no "set" that is "train" or "test": download it again'
        )
    if folder not in _FOLDERS:
        raise UserError(f"{where}: paths must start with one of {', '.join(_FOLDERS)}")
    if (entry["label"] == "real") != (folder == _REALS):
        raise UserError(
            f"{where} has the label {entry['label']}, but {_REALS} has the reals and method_A and "
            "method_B have the fakes: download the file again"
        )
    for field in ("target_id", "swapped_id")[: 1 + (entry["label"] == "fake")]:
        if not isinstance(entry.get(field), str | int):
            raise UserError(
                f'{where}: {entry!r} has no "{field}", the id of an actor: download it again'
            )


def _list_videos(root: pathlib.Path) -> dict[str, pathlib.Path]:
    paths = {}
    for name in _FOLDERS:
        folder = layout.find_folder(root, f"{name}/videos", f"{name}/frames", name)
        for inner, path in layout.list_clips(folder, corpus="dfdcp").items() if folder else ():
            paths[f"{name}/{inner}"] = path
    return paths


def _origin_ids(name: str, entry: dict[str, Any]) -> list[str]:
    """Returns the ids of the original, of the actor in it, and of the donor."""
    stem = name.rpartition("/")[2]
    people = [entry["target_id"]]
    if entry["label"] == "fake":
        people.append(entry["swapped_id"])
        stem = stem.removeprefix(f"{entry['swapped_id']}_")
    return [f"video:dfdcp/{stem}", *(f"identity:dfdcp/{person}" for person in people)]


def _check_counts(clips: Sequence[Clip]) -> None:
    for split, label, count in _COUNTS:
        keys = [clip.key for clip in clips if (clip.split, clip.label) == (split, label)]
        layout.check_counts("dfdcp", f"{split} {('real', 'fake')[label]}", keys, count)


def _hold_out_val(clips: Sequence[Clip], seed: int, shares: Sequence[float]) -> list[Clip]:
    """Returns `clips` with val dealt from train; donors tie nothing together."""
    targets = [dataclasses.replace(clip, origin_ids=clip.origin_ids[:2]) for clip in clips]
    dealt = splits.hold_out_val(targets, seed=seed, shares=shares)
    return [
        dataclasses.replace(clip, split=target.split)
        for clip, target in zip(clips, dealt, strict=True)
    ]
