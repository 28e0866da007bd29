"""DFDC preview: 1,131 videos of paid actors, and 4,119 in which two methods swap their faces.

Dolhansky et al., 2019, arXiv 1910.08854. Below the root, or below dfdc_preview_set/ in it:

    original_videos/643049/643049_A_001.mp4                   <actor>_<recording>_<number>
    method_A/1003254/1003254_A/1255229_1003254_A_001.mp4      <whose face>_<the original>
    method_B/...
    dataset.json      {path: {"label": "real", "set": "train", "target_id": ..., "swapped_id": ...}}

A folder videos/ or frames/ (of folders of frames) may come second. The label is that of the file,
and the first folder must say the same. File names recur between the methods: the path counts.

The split into train and test is the owners'; val is dealt from train so that an actor's videos,
with all fakes made from them, stay together. Whose face was put in may recur: almost every actor is
swapped with others. strict leaves out what shares an actor with test.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from dfjax import registry
from dfjax.corpora import layout
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
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    strict: bool = False,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`; `splits` shares out train and val.

    Raises:
      UserError: dataset.json is missing, not understood, or contradicts the folders.
    """
    root = layout.require_folder(root)
    if not (root / _LIST).exists():
        root = layout.find_folder(root, "dfdc_preview_set") or root
    entries, found = _read_list(root / _LIST), _list_videos(root)
    layout.report("dfdcp", f"videos of {_LIST} are missing", entries.keys() - found.keys())
    layout.report("dfdcp", f"videos left out: not in {_LIST}", found.keys() - entries.keys())
    clips = [
        layout.make_clip(
            "dfdcp", root, found[name],
            method="real" if entry["label"] == "real" else name.split("/")[0],
            split=entry["set"], origin_ids=_origin_ids(name, entry),
        )
        for name, entry in entries.items()
        if name in found
    ]  # fmt: skip
    _check_counts(clips)
    clips = _hold_out_val(layout.link_originals(clips), seed, splits)
    if strict:
        clips = layout.drop_leaks("dfdcp", clips, keep=("test",))
    return layout.check_clips(root, clips)


def _read_list(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Returns the entries of dataset.json by their paths without suffix, checked."""
    entries = {}
    for text, entry in layout.read_json(path).items():
        where = f"{path}: {text}"
        name = layout.relative_path(text, where).with_suffix("").as_posix()
        if entries.setdefault(name, entry) is not entry:
            raise UserError(f"{where} is there twice: get the file anew")
        _check_entry(entry, where, name.split("/")[0])
    return entries


def _check_entry(entry: Any, where: str, folder: str) -> None:
    if not isinstance(entry, dict) or entry.get("label") not in ("real", "fake"):
        raise UserError(f'{where}: {entry!r} has no "label" that is "real" or "fake"')
    if entry.get("set") not in ("train", "test"):
        raise UserError(f'{where}: {entry!r} has no "set" that is "train" or "test"')
    if folder not in _FOLDERS:
        raise UserError(f"{where}: paths start with {', '.join(_FOLDERS)}")
    if (entry["label"] == "real") != (folder == _REALS):
        raise UserError(
            f"{where} is called {entry['label']}, but {_REALS} holds the reals and method_A and "
            "method_B the fakes: get the file anew"
        )
    for field in ("target_id", "swapped_id")[: 1 + (entry["label"] == "fake")]:
        if not isinstance(entry.get(field), str | int):
            raise UserError(f'{where}: {entry!r} has no "{field}", the id of an actor')


def _list_videos(root: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {}
    for name in _FOLDERS:
        folder = layout.find_folder(root, f"{name}/videos", f"{name}/frames", name)
        for inner, path in layout.list_clips(folder, corpus="dfdcp").items() if folder else ():
            found[f"{name}/{inner}"] = path
    return found


def _origin_ids(name: str, entry: dict[str, Any]) -> list[str]:
    """Returns the original, the actor in it, and the one whose face was put in."""
    stem = name.rpartition("/")[2]
    people = [entry["target_id"]]
    if entry["label"] == "fake":
        people.append(entry["swapped_id"])
        stem = stem.removeprefix(f"{entry['swapped_id']}_")
    return [f"video:dfdcp/{stem}", *(f"identity:dfdcp/{person}" for person in people)]


def _check_counts(clips: Sequence[Clip]) -> None:
    for split, label, count in _COUNTS:
        found = [clip.key for clip in clips if (clip.split, clip.label) == (split, label)]
        layout.check_counts("dfdcp", f"{split} {('real', 'fake')[label]}", found, count)


def _hold_out_val(clips: Sequence[Clip], seed: int, shares: Sequence[float]) -> list[Clip]:
    targets = [dataclasses.replace(clip, origin_ids=clip.origin_ids[:2]) for clip in clips]
    dealt = layout.hold_out_val(targets, seed=seed, shares=shares)
    return [
        dataclasses.replace(clip, split=target.split)
        for clip, target in zip(clips, dealt, strict=True)
    ]
