"""Any folder of pictures and videos as a corpus: with a manifest.csv, or as trees real/ and fake/.

Columns of the manifest: `path` (relative to its folder) and `label` (real, fake, 0 or 1), and if
known `split` (train, val or test), `method` (of a fake), `group` (ids of people or originals,
joined by ";"), `pair` (shared by an original and its fakes), `frame` (number of the frame that a
picture shows: the original of a fake is the picture of its pair with the same number) and
`same_frame` (0: a fake shows another frame than its original). Other columns are attributes.
`dfjax.lists` says what form it may have.

Trees: `real/` and `fake/`, of any depth, or the same in folders of splits (`train/real/`), in the
spellings of `class_folders`; the first folder below `fake/` names the method. Files with the same
name in both count as an original and its fakes; `picture_groups` says which pictures belong
together. If that is wrong, write a manifest. Hidden files and folders are not read.
"""

import collections
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator, Sequence

from dfjax import files, lists, registry
from dfjax.corpora import class_folders, label_file, layout, picture_groups, splits
from dfjax.corpora.clip import LABELS, Clip
from dfjax.corpora.picture_groups import Picture
from dfjax.errors import UserError
from dfjax.media import suffix

MANIFEST = "manifest.csv"

_COLUMNS = ("path", "label", "split", "method", "group", "pair", "frame", "same_frame")


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One file as the manifest or the tree describes it; `split` is "" if it names none."""

    path: str
    label: int
    method: str
    groups: tuple[str, ...]
    pair: str
    split: str = ""
    frame: int = 0
    same_frame: bool = True
    attributes: tuple[tuple[str, str], ...] = ()


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
    the real file of its pair, with the same frame or, where it shows another, the nearest.

    Splits are those that the manifest or the folders name. If they name none, `seed` and `shares`
    deal the files out to train, val and test. Files that share a group, a pair or their bytes stay
    together, and both classes are in every split if possible.

    Raises:
      UserError: there is nothing to read, the manifest is not understood, or files that belong
        together are in two splits.
    """
    root = pathlib.Path(root)
    entries = _read_entries(root)
    corpus = name or root.resolve().name
    keys = {entry: f"{corpus}/{entry.method}/{entry.path}" for entry in entries}
    originals = _find_originals(entries)
    return [
        Clip(
            key=keys[entry],
            path=os.fspath(root / entry.path),
            label=entry.label,
            method=entry.method,
            split=split,
            origin_ids=_origin_ids(entry),
            original=keys[originals[entry]] if entry in originals else "",
            frame=entry.frame,
            same_frame=entry.same_frame,
            attributes=entry.attributes,
        )
        for entry, split in zip(entries, _splits(root, entries, seed, shares), strict=True)
    ]


def _find_originals(entries: Sequence[_Entry]) -> dict[_Entry, _Entry]:
    """The originals of the fakes of pairs; of several reals that fit, the last."""
    by_pair = collections.defaultdict(list)
    for entry in entries:
        if entry.pair and not entry.label:
            by_pair[entry.pair].insert(0, entry)
    originals = {}
    for fake in (entry for entry in entries if entry.label):
        reals = by_pair.get(fake.pair, [])
        nearest = min(reals, key=lambda real: abs(real.frame - fake.frame), default=None)
        if nearest and (nearest.frame == fake.frame or not fake.same_frame):
            originals[fake] = nearest
    return originals


def _read_entries(root: pathlib.Path) -> list[_Entry]:
    """Returns the entries of the manifest or of the trees, sorted by path."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder of a corpus")
    manifest = root / MANIFEST
    entries = list(_read_manifest(manifest) if manifest.exists() else _read_trees(root))
    if not entries:
        raise UserError(f"{root} has no picture or video: add files in {suffix.ACCEPTED}")
    if not any(os.path.exists(root / entry.path) for entry in entries):
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
    names = [files.legible(entry.path) for entry in entries]
    contents = _shared_contents(root, entries)
    ties = [
        [f"group {group!r}" for group in entry.groups]
        + [f"pair {entry.pair!r}"] * bool(entry.pair)
        + [f"the same file content (sha256 {digest[:12]})" for digest in contents.get(entry, ())]
        for entry in entries
    ]
    named = [entry.split for entry in entries]
    if not any(named):
        labels = [entry.label for entry in entries]
        dealt = splits.assign_splits(names, labels, ties, seed=seed, shares=shares)
        _warn_about_empty_splits(labels, dealt, shares)
        return dealt
    if not all(named):
        raise UserError(
            f"{names[named.index('')]} has no split but others have: name one of every file, in "
            f"{MANIFEST} or by folders train, val and test, or of none"
        )
    splits.check_splits(names, named, ties)
    return named


def _warn_about_empty_splits(
    labels: Sequence[int], dealt: Sequence[str], shares: Sequence[float]
) -> None:
    """Says why a class is missing in a split, though it has a file for each."""
    wanted = {split for split, share in zip(splits.SPLITS, shares, strict=True) if share > 0}
    for label in (label for label in (0, 1) if labels.count(label) >= len(wanted)):
        has = {split for split, other in zip(dealt, labels, strict=True) if other == label}
        layout.warn(
            "folder",
            f"splits get no {LABELS[label]} file: the {labels.count(label)} form too few groups "
            "that may be parted (if they are unrelated, list them in manifest.csv)",
            wanted - has,
        )


def _shared_contents(root: pathlib.Path, entries: list[_Entry]) -> dict[_Entry, tuple[str, ...]]:
    """Returns the sha256 of files that have a copy; reads only files of equal size.

    Raises:
      UserError: a real and a fake file are equal.
    """
    by_size = collections.defaultdict(list)
    for entry in entries:
        path = root / entry.path
        if os.path.isfile(path) and os.path.getsize(path) > 0:
            by_size[os.path.getsize(path)].append(entry)
    by_digest = collections.defaultdict(list)
    for candidates in by_size.values():
        for entry in candidates if len(candidates) > 1 else ():
            with contextlib.suppress(OSError):  # its outcome will say why
                by_digest[_sha256(root / entry.path)].append(entry)
    contents = {}
    for digest, copies in by_digest.items():
        if len(copies) > 1:
            if len({entry.label for entry in copies}) > 1:
                a, b = sorted(copies, key=lambda entry: entry.label)[:: len(copies) - 1]
                raise UserError(
                    f"{a.path} (real) and {b.path} (fake) are the same file: correct a label"
                )
            contents.update({entry: (digest,) for entry in copies})
    return contents


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_manifest(manifest: pathlib.Path) -> Iterator[_Entry]:
    finder = lists.Finder(manifest.parent)
    places: dict[str, str] = {}
    for where, row in lists.read_table(manifest, ("path", "label")):
        entry = _entry(row, where, finder)
        here = where.removeprefix(f"{manifest} ")
        first = places.setdefault(entry.path, here)
        if first != here:
            raise UserError(f"{where} names {entry.path} again after {first}: keep one")
        yield entry


def _entry(row: dict[str, str], where: str, finder: lists.Finder) -> _Entry:
    label = label_file.read_label(row["label"], where)
    path = pathlib.PurePosixPath(os.path.normpath(finder.find(row["path"])))
    if row["path"] in ("", ".") or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: path {row['path']!r}: give a file below the manifest's folder")
    split = row.get("split", "").lower()
    if split and split not in class_folders.SPLITS:
        raise UserError(f"{where}: split {row['split']!r}: use train, val or test")
    method = row.get("method") or "fake"
    if label and method.lower() == "real":
        raise UserError(f"{where}: a fake of method {method!r}: correct its label or its method")
    same_frame = row.get("same_frame", "").removesuffix(".0") or "1"
    if same_frame not in ("0", "1"):
        raise UserError(f"{where}: same_frame {same_frame!r}: use 0, 1 or nothing")
    groups = (group.strip() for group in row.get("group", "").split(";"))
    return _Entry(
        path=os.fspath(path),
        label=label,
        method=method if label else "real",
        groups=tuple(dict.fromkeys(map(_id, filter(None, groups)))),
        pair=_id(row.get("pair", "")),
        split=class_folders.SPLITS.get(split, ""),
        frame=_read_frame(row.get("frame", ""), path, where),
        same_frame=same_frame == "1",
        attributes=tuple(each for each in row.items() if each[0] not in _COLUMNS),
    )


def _read_frame(text: str, path: pathlib.PurePath, where: str) -> int:
    text = text.removesuffix(".0")  # as spreadsheets write whole numbers
    if text and not (re.fullmatch(r"[0-9]{1,9}", text) and suffix.is_image(path.name)):
        raise UserError(
            f"{where}: frame {text!r} of {path.name}: give the number of the frame that a picture "
            "shows, 0 or more, and none of a video"
        )
    return int(text or 0)


def _read_trees(root: pathlib.Path) -> list[_Entry]:
    entries, pictures = [], {}
    for folder in class_folders.read_folders(root):
        method, inner = "real", folder.inner
        if folder.label:
            method, inner = (*inner.parts, "fake")[0], pathlib.PurePath(*inner.parts[1:])
        place = pathlib.PurePath(folder.split, folder.scope, inner)
        for name in folder.names:
            stem = pathlib.PurePath(name).stem
            entry = _Entry(
                path=(folder.path / name).as_posix(),
                label=folder.label,
                method=method,
                groups=(_id((place / stem).as_posix()),),
                pair="",
                split=folder.split,
            )
            entries.append(entry)
            if suffix.is_image(name):
                group = "" if place == pathlib.PurePath() else place.as_posix()
                pictures[entry] = Picture(folder.label, group, bool(inner.parts), stem)
    groups = dict(zip(pictures, picture_groups.group_pictures([*pictures.values()]), strict=True))
    return [
        dataclasses.replace(entry, groups=(_id(groups[entry]),)) if entry in groups else entry
        for entry in entries
    ]


def _id(text: str) -> str:
    """A text by which files are tied, however its accents and its bytes are written."""
    return files.legible(unicodedata.normalize("NFC", text))
