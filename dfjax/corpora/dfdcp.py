"""DFDC preview: 1,131 videos of paid actors, and 4,119 in which two methods swap their faces.

Dolhansky et al., 2019, arXiv 1910.08854. Below the root, or below dfdc_preview_set/ in it:

    original_videos/643049/643049_A_001.mp4                   <actor>_<recording>_<number>
    method_A/1003254/1003254_A/1255229_1003254_A_001.mp4      <donor>_<original>
    method_B/...
    dataset.json      {path: {"label": "real", "set": "train", "target_id": ..., "swapped_id": ...}}

The second folder may be videos/, or frames/ with a folder of frames for each video, and below these
the folders of actors may be missing, as DeepfakeBench has it: then the name of the file tells which
entry of that method it is. dataset.json decides the label, and the first folder must agree.

The split into train and test is the owners'. val is dealt from train; the videos of an actor and
all fakes made from them stay together. Donors may be in both: almost every actor is swapped with
others. strict drops clips that share an actor with test, and deals val so that donors are in one.
"""

import collections
import os
import pathlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dfjax import registry
from dfjax.corpora import forms, label_file, layout, splits, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError

_ROOT = "dfdc_preview_set"
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
    strict: bool | str = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `shares` deals out the owners' train to train and val.

    Raises:
      UserError: dataset.json is missing, not understood, or contradicts the folders.
    """
    root = layout.find_root("dfdcp", root, *_FOLDERS, _LIST, _ROOT)
    root = layout.find_folder(root, _ROOT) or root
    entries = _read_list(root / _LIST)
    parts = {folder: _list_folder(root, folder, entries) for folder in _FOLDERS}
    chosen = forms.choose("dfdcp", parts, lambda _, name: _label(entries.get(name)))
    paths = {name: path for part in chosen.values() for name, path in part.items()}
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
    clips = strict_rules.deal_val(
        "dfdcp", clips, strict, seed=seed, shares=shares, ties=_ids_but_the_donor
    )
    return layout.check_clips(root, layout.link_originals("dfdcp", clips))


def origin_ids(name: str) -> tuple[str, ...]:
    """Returns the origin ids of the real "643049_A_001" or of a fake; () for other names."""
    match = re.fullmatch(r"((?P<donor>\d+)_)?(?P<video>(?P<actor>\d+)_[A-Z]+_\d+)", name)
    if match is None:
        return ()
    people = [match["actor"], *([match["donor"]] if match["donor"] else [])]
    return (f"video:dfdcp/{match['video']}", *(f"identity:dfdcp/{person}" for person in people))


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


def _label(entry: dict[str, Any] | None) -> int | None:
    return None if entry is None else int(entry["label"] == "fake")


def _list_folder(root: pathlib.Path, folder: str, entries: Collection[str]) -> forms.Part:
    """Returns the clips of a folder by the names of `entries`; others keep the names they have."""
    name_of = collections.defaultdict(list)
    for name in entries:
        if name.startswith(f"{folder}/"):
            name_of[name.rpartition("/")[2]].append(name)
    part = forms.list_part(layout.find_folder(root, folder), corpus="dfdcp")
    return {copy: _rename(folder, paths, name_of, entries) for copy, paths in part.items()}


def _rename(
    folder: str,
    paths: dict[str, str],
    name_of: Mapping[str, Sequence[str]],
    entries: Collection[str],
) -> dict[str, str]:
    """Returns `paths` by the entry of the same path or, if there is one alone, of the same file."""
    full = {f"{folder}/{inner}": path for inner, path in paths.items()}
    renamed = {}
    for name, path in full.items():
        of_file = name_of.get(name.rpartition("/")[2], ())
        is_other = name not in entries and len(of_file) == 1 and of_file[0] not in full
        renamed.setdefault(of_file[0] if is_other else name, path)
    return renamed


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


def _ids_but_the_donor(clip: Clip) -> Sequence[str]:
    """Returns the ids of the original and of the actor in it."""
    return clip.origin_ids[:2]
