"""DFDC: the Deepfake Detection Challenge, 119,154 videos of paid actors to train on, 100,000 fake.

Dolhansky et al., 2020, arXiv 2006.07397; https://ai.meta.com/datasets/dfdc and
https://www.kaggle.com/c/deepfake-detection-challenge. Below the root, any number of parts:

    train/dfdc_train_part_0/metadata.json    {"a.mp4": {"label": "FAKE", "original": "b.mp4"}}
    validation/labels.csv                    filename,label with 0 real, 1 fake
    test/labels.csv  test/metadata.json      or {"a.mp4": {"is_fake": 1}}; if both, they must agree

with the videos next to these files, in videos/, or in frames/ with a folder of frames for each
video. The level train/ is optional or may be called dfdc_train_all/, and so is test/ if the root
has labels.csv and videos/. A part may be in a folder with the name of its archive, such as
dfdc_train_part_00/dfdc_train_part_0/. train_sample_videos/ is a sample of the parts, read only if
there is no part. The files decide the label: a REAL has no original, a FAKE has one.

validation/ and test/ are the owners' splits. If one of them is missing, whole parts are dealt out
to it by the seed, because a part roughly is a group of actors. With fewer than three parts the
originals, each with its fakes, are dealt out, and actors occur in several splits. The methods are
not published.
"""

import os
import pathlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dfjax import lists, registry
from dfjax.corpora import forms, label_file, layout, splits
from dfjax.corpora.clip import LABELS, Clip
from dfjax.errors import UserError

_CSV, _JSON = "labels.csv", "metadata.json"
_PART = "dfdc_train_part_"
_NUM_PARTS = 50
_SAMPLE = "train_sample_videos"
_LABELS = {"REAL": 0, "FAKE": 1, "0": 0, "1": 1}
_COUNTS = {"train": 119_154, "val": 4000, "test": 5000}
_TRAIN = ("train", "dfdc_train_all")  # folders that may hold the parts
_READ = {*_TRAIN, "validation", "test", *layout.KINDS}

Table = dict[str, tuple[int, str]]
"""Label and original of the videos of a folder, by name; a real or unknown original is itself."""


@registry.register("corpus", "dfdc")
def read_dfdc(
    root: str | os.PathLike, *, seed: int = 0, shares: Sequence[float] = splits.SHARES
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`.

    `shares` deals out the parts; the share of a split that the owners fill goes to train.

    Raises:
      UserError: a label file is missing, not understood, or contradicts another.
    """
    signs = (f"{_PART}*", *_TRAIN, _SAMPLE, "validation", "test", _CSV, _JSON)
    root = layout.find_root("dfdc", root, *signs)
    parts = _find_parts(root)
    held_out = {"val": layout.find_folder(root, "validation"), "test": _find_test(root)}
    held_out = {split: folder for split, folder in held_out.items() if folder}
    tables = {name: _read_part(folder) for name, folder in parts.items()}
    tables |= {split: _read_held_out(folder) for split, folder in held_out.items()}
    paths = _list_videos({**parts, **held_out}, tables)
    clips = {
        name: _make_clips(root, name if name in held_out else "train", paths[name], table)
        for name, table in tables.items()
    }
    val, test = (
        0.0 if split in held_out else share
        for split, share in zip(splits.SPLITS[1:], shares[1:], strict=True)
    )
    own = [clip for split in held_out for clip in clips.pop(split)]
    dealt = _deal_out(clips, seed, (sum(shares) - val - test, val, test))
    return layout.check_clips(root, [*layout.link_originals("dfdc", dealt), *own])


def _find_parts(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the folders of the parts by name; if there is no part, that of the sample."""
    parts: dict[str, pathlib.Path] = {}
    for folder in (f for level in ("", *_TRAIN) for f in sorted((root / level).glob(f"{_PART}*"))):
        number = _number(folder)
        if number is None:
            continue
        name = f"{_PART}{number}"
        if name in parts:
            raise UserError(f"{parts[name]} and {folder} both exist: keep one")
        # archives may add a level, with or without a zero in front of the number
        nested = [inner for inner in layout.subfolders(folder) if _number(inner) == number]
        parts[name] = nested[0] if len(nested) == 1 else folder
    if not parts and (sample := layout.find_folder(root, _SAMPLE)):
        parts[_SAMPLE] = layout.find_folder(sample, _SAMPLE) or sample
    _warn_about_parts(root, parts)
    return parts


def _number(folder: pathlib.Path) -> int | None:
    """Returns the number of a part; None if `folder` is none."""
    match = re.fullmatch(rf"{_PART}(\d+)", folder.name)
    return int(match[1]) if match and folder.is_dir() else None


def _warn_about_parts(root: pathlib.Path, parts: Collection[str]) -> None:
    if parts and _SAMPLE not in parts:
        published = {f"{_PART}{number}" for number in range(_NUM_PARTS)}
        layout.warn("dfdc", f"of {_NUM_PARTS} parts are missing", published.difference(parts))
    folders = {path.name for path in root.iterdir() if path.is_dir() and path.name[0] != "."}
    unread = {name for name in folders - _READ if not name.startswith(_PART)}.difference(parts)
    layout.warn("dfdc", "folders are not read", unread)


def _find_test(root: pathlib.Path) -> pathlib.Path | None:
    has_labels = (root / _CSV).exists() or (root / _JSON).exists()
    return layout.find_folder(root, "test") or (root if has_labels else None)


def _read_part(folder: pathlib.Path) -> Table:
    path = folder / _JSON
    table = {}
    for name, entry in label_file.read_json(path).items():
        label, original = _check_entry(entry, path, name)
        table[_stem(name)] = (label, _stem(original or name))
    return table


def _check_entry(entry: Any, path: pathlib.Path, name: str) -> tuple[int, str]:
    """Returns label and original of an entry of a part; the original of a real is ""."""
    if not isinstance(entry, dict) or entry.get("label") not in ("REAL", "FAKE"):
        raise UserError(
            f'{path}: {name}: {entry!r} has no "label" that is "REAL" or "FAKE": download it again'
        )
    label, original = _LABELS[entry["label"]], entry.get("original") or ""
    if not isinstance(original, str) or bool(original) != bool(label):
        raise UserError(
            f"{path}: {name} is {entry['label']} with the original {entry.get('original')!r}: a "
            "FAKE has one and a REAL has none: download the file again"
        )
    return label, original


def _read_held_out(folder: pathlib.Path) -> Table:
    return {name: (label, name) for name, label in _read_labels(folder).items()}


def _read_labels(folder: pathlib.Path) -> dict[str, int]:
    """Returns the labels of validation or test, by the videos' names without suffix."""
    readers = {folder / _CSV: _read_csv, folder / _JSON: _read_json}
    tables = [read(path) for path, read in readers.items() if path.exists()]
    if not tables:
        raise UserError(f"{folder} has neither {_CSV} nor {_JSON}: download one from the owners")
    labels: dict[str, int] = {}
    for table in tables:
        for name, label in table.items():
            if labels.setdefault(name, label) != label:
                raise UserError(
                    f"{folder}: {_CSV} calls {name} {LABELS[labels[name]]} and {_JSON} calls it "
                    f"{LABELS[label]} (in both, 0 is real and 1 is fake): download them again"
                )
    return labels


def _read_csv(path: pathlib.Path) -> dict[str, int]:
    labels: dict[str, int] = {}
    for where, row in lists.read_table(path, ("filename", "label")):
        name = _stem(row["filename"])
        if name in labels:
            raise UserError(f"{where} names {row['filename']} again: download the file again")
        labels[name] = _label(row["label"].upper(), where)
    return labels


def _read_json(path: pathlib.Path) -> dict[str, int]:
    labels = {}
    for name, entry in label_file.read_json(path).items():
        if not isinstance(entry, dict) or "is_fake" not in entry:
            raise UserError(
                f'{path}: {name}: {entry!r} has no "is_fake", as in a test set: for a part of '
                "train, give the folder above it"
            )
        labels[_stem(name)] = _label(str(entry["is_fake"]), f"{path}: {name}")
    return labels


def _label(text: str, where: str) -> int:
    if text not in _LABELS:
        raise UserError(f"{where}: label {text!r}: use 0 or REAL, 1 or FAKE")
    return _LABELS[text]


def _list_videos(
    folders: Mapping[str, pathlib.Path], tables: Mapping[str, Table]
) -> dict[str, dict[str, str]]:
    """Returns the videos that have a label, by folder and name; warns about the others."""
    parts = {
        name: forms.list_part(folder, corpus="dfdc", known=(_CSV, _JSON))
        for name, folder in folders.items()
    }
    chosen = forms.choose("dfdc", parts, lambda part, name: tables[part].get(name, (None,))[0])
    for part, paths in chosen.items():
        folder, table = folders[part].name, tables[part]
        layout.warn("dfdc", f"videos of {folder} left out: no label", paths.keys() - table.keys())
        layout.warn("dfdc", f"videos of {folder} are missing", table.keys() - paths.keys())
        if part in _COUNTS:
            layout.check_counts("dfdc", part, table, _COUNTS[part])
    return chosen


def _make_clips(
    root: pathlib.Path, split: str, paths: Mapping[str, str], table: Table
) -> list[Clip]:
    return [
        layout.make_clip(
            "dfdc", root, path,
            method=LABELS[table[name][0]], split=split, origin_ids=[f"video:dfdc/{table[name][1]}"],
        )
        for name, path in paths.items()
        if name in table
    ]  # fmt: skip


def _stem(name: str) -> str:
    file = name.rpartition("/")[2]
    return file.rpartition(".")[0] or file


def _deal_out(parts: dict[str, list[Clip]], seed: int, shares: Sequence[float]) -> list[Clip]:
    clips = [clip for part in parts.values() for clip in part]
    if len(parts) == _NUM_PARTS:
        layout.check_counts("dfdc", "train", clips, _COUNTS["train"])
    groups = [[name] if len(parts) >= 3 else [] for name, part in parts.items() for _ in part]
    ties = [[*clip.origin_ids, *group] for clip, group in zip(clips, groups, strict=True)]
    return splits.deal_out(clips, ties, seed=seed, shares=shares)
