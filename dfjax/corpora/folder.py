"""Any folder of pictures and videos as a corpus: with a manifest.csv, or as trees real/ and fake/.

Columns of the manifest: `path` (relative to its folder) and `label` (real, fake, 0 or 1), and if
known `split` (train, val or test), `method` (of a fake), `group` (ids of people or originals,
joined by ";") and `pair` (shared by an original and its fakes). Other columns are ignored.

Trees: `real/` and `fake/`, of any depth; the first folder below `fake/` names the method. Files
with the same name in both count as an original and its fakes, and pictures in one deeper folder as
frames of one video. If that is wrong, write a manifest. Hidden files and folders are not read.
"""

import collections
import csv
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterator, Sequence

from dfjax import registry, walk
from dfjax.corpora import splits
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.media import suffix

MANIFEST = "manifest.csv"

_LABELS = {"real": 0, "0": 0, "fake": 1, "1": 1}
_SPLITS = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One file as the manifest or the tree describes it; `split` is "" if it names none."""

    path: str
    label: int
    method: str
    groups: tuple[str, ...]
    pair: str
    split: str = ""


@registry.register("corpus", "folder")
def read_folder(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    shares: Sequence[float] = splits.SHARES,
    name: str | None = None,
) -> list[Clip]:
    """Returns the clips of the corpus in the folder `root`; some files may be missing or broken.

    `name` is the name of the corpus in keys; None: that of the folder. The original of a fake is
    the real file of its pair.

    Splits are the manifest's. If it names none, `seed` and `shares` deal the files out to train,
    val and test. Files that share a group, a pair or their bytes stay together, and both classes
    are in every split if possible.

    Raises:
      UserError: there is nothing to read, the manifest is not understood, or files that belong
        together are in two splits.
    """
    root = pathlib.Path(root)
    entries = _read_entries(root)
    corpus = name or root.resolve().name
    keys = {entry: f"{corpus}/{entry.method}/{entry.path}" for entry in entries}
    originals = {entry.pair: keys[entry] for entry in entries if entry.pair and not entry.label}
    return [
        Clip(
            key=keys[entry],
            path=os.fspath(root / entry.path),
            label=entry.label,
            method=entry.method,
            split=split,
            origin_ids=_origin_ids(entry),
            original=originals.get(entry.pair, "") if entry.label else "",
        )
        for entry, split in zip(entries, _splits(root, entries, seed, shares), strict=True)
    ]


def _read_entries(root: pathlib.Path) -> list[_Entry]:
    """Returns the entries of the manifest or of the trees, sorted by path."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder of a corpus")
    manifest = root / MANIFEST
    entries = list(_read_manifest(manifest) if manifest.exists() else _walk_trees(root))
    if not entries:
        raise UserError(f"{root} has no picture or video: add files in {suffix.ACCEPTED}")
    if not any((root / entry.path).exists() for entry in entries):
        raise UserError(
            f"none of the {len(entries)} files in {manifest} exists: paths start at its folder"
        )
    return sorted(entries, key=lambda entry: entry.path)


def _origin_ids(entry: _Entry) -> tuple[str, ...]:
    pair = (f"pair:{entry.pair}",) if entry.pair else ()
    return entry.groups + pair or (entry.path,)


def _splits(
    root: pathlib.Path, entries: list[_Entry], seed: int, shares: Sequence[float]
) -> list[str]:
    names = [entry.path for entry in entries]
    contents = _shared_contents(root, entries)
    ties = [
        [f"group {group!r}" for group in entry.groups]
        + [f"pair {entry.pair!r}"] * bool(entry.pair)
        + [f"the same file content (sha256 {digest[:12]})" for digest in contents.get(name, ())]
        for name, entry in zip(names, entries, strict=True)
    ]
    named = [entry.split for entry in entries]
    if not any(named):
        labels = [entry.label for entry in entries]
        return splits.assign_splits(names, labels, ties, seed=seed, shares=shares)
    if not all(named):
        raise UserError(
            f"{names[named.index('')]} has no split but others have: name one in every row of "
            f"{MANIFEST}, or in none"
        )
    splits.check_splits(names, named, ties)
    return named


def _shared_contents(root: pathlib.Path, entries: list[_Entry]) -> dict[str, tuple[str, ...]]:
    """Returns the sha256 of files that have a copy, by path; reads only files of equal size.

    Raises:
      UserError: a real and a fake file are equal.
    """
    by_size = collections.defaultdict(list)
    for entry in entries:
        path = root / entry.path
        if path.is_file() and path.stat().st_size > 0:
            by_size[path.stat().st_size].append(entry)
    by_digest = collections.defaultdict(list)
    for candidates in by_size.values():
        for entry in candidates if len(candidates) > 1 else ():
            by_digest[_sha256(root / entry.path)].append(entry)
    contents = {}
    for digest, copies in by_digest.items():
        if len(copies) > 1:
            if len({entry.label for entry in copies}) > 1:
                a, b = sorted(copies, key=lambda entry: entry.label)[:: len(copies) - 1]
                raise UserError(
                    f"{a.path} (real) and {b.path} (fake) are the same file: correct a label"
                )
            contents.update({entry.path: (digest,) for entry in copies})
    return contents


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(manifest: pathlib.Path) -> Iterator[_Entry]:
    lines: dict[str, int] = {}
    try:
        with open(manifest, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [column.strip().lower() for column in reader.fieldnames or []]
            if not {"path", "label"} <= set(columns):
                raise UserError(
                    f"{manifest} has the columns {', '.join(columns) or 'none'}: "
                    "path and label are needed; split, group, method and pair are optional"
                )
            reader.fieldnames = columns
            for row in reader:
                where = f"{manifest} line {reader.line_num}"
                entry = _entry({name: (row[name] or "").strip() for name in columns}, where)
                if entry.path in lines:
                    raise UserError(
                        f"{where} names {entry.path} again after line {lines[entry.path]}: keep one"
                    )
                lines[entry.path] = reader.line_num
                yield entry
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{manifest} is not a CSV file in UTF-8 ({error}): save it again"
        ) from error


def _entry(row: dict[str, str], where: str) -> _Entry:
    label = _LABELS.get(row["label"].lower())
    if label is None:
        raise UserError(f"{where}: label {row['label']!r}: use real, fake, 0 or 1")
    path = pathlib.PurePosixPath(os.path.normpath(row["path"]))
    if row["path"] in ("", ".") or "\0" in row["path"] or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: path {row['path']!r}: give a file below the manifest's folder")
    split = row.get("split", "").lower()
    if split and split not in _SPLITS:
        raise UserError(f"{where}: split {row['split']!r}: use train, val or test")
    method = row.get("method") or "fake"
    if label and method.lower() == "real":
        raise UserError(f"{where}: a fake of method {method!r}: correct its label or its method")
    groups = (group.strip() for group in row.get("group", "").split(";"))
    return _Entry(
        path=os.fspath(path),
        label=label,
        method=method if label else "real",
        groups=tuple(dict.fromkeys(filter(None, groups))),
        pair=row.get("pair", ""),
        split=_SPLITS.get(split, ""),
    )


def _walk_trees(root: pathlib.Path) -> Iterator[_Entry]:
    trees = [tree for tree in root.iterdir() if tree.is_dir() and tree.name in ("real", "fake")]
    if not trees:
        raise UserError(f"{root} has neither {MANIFEST} nor a folder real or fake: add one")
    for tree in trees:
        files = (
            pathlib.Path(parent, name) for parent, _, names in walk.walk(tree) for name in names
        )
        for path in (path for path in files if suffix.is_image(path) or suffix.is_video(path)):
            inner = path.relative_to(tree)
            method = "real" if tree.name == "real" else "fake"
            if tree.name == "fake" and len(inner.parts) > 1:
                method, inner = inner.parts[0], inner.relative_to(inner.parts[0])
            is_frame = suffix.is_image(path) and len(inner.parts) > 1
            group = inner.parent if is_frame else inner.with_suffix("")
            yield _Entry(
                path=path.relative_to(root).as_posix(),
                label=_LABELS[tree.name],
                method=method,
                groups=(group.as_posix(),),
                pair="",
            )
