"""What importers share: folders by any of their spellings, clips below them, label files, counts.

A deviation that leaves a corpus usable is one warning of the logger "dfjax.corpora"; one that could
turn labels or splits wrong is a ValueError.

The first source of a clip is the id of its real video: that of itself, or that a fake was made
from. `link_originals` reads originals off it.
"""

import csv
import dataclasses
import itertools
import json
import logging
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from dfjax.corpora import splits as splitting
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.media.image import IMAGE_SUFFIXES
from dfjax.media.video import VIDEO_SUFFIXES

_LOGGER = logging.getLogger("dfjax.corpora")

_MAX_BYTES = 2**28  # no label file in use comes near
_MAX_NAMES = 5  # in a warning


def find_folder(root: str | os.PathLike, *spellings: str) -> pathlib.Path | None:
    """Returns the first of the folders `spellings` (relative paths) that is below `root`, or None.

    Case, spaces, "-" and "_" do not matter, but the exact spelling goes first.

    Raises:
      UserError: several folders match one spelling, none exactly.
    """
    for spelling in spellings:
        found = pathlib.Path(root)
        for part in pathlib.PurePosixPath(spelling).parts:
            found = found and _subfolder(found, part)
        if found and found.is_dir():
            return found
    return None


def require_folder(root: str | os.PathLike, *spellings: str) -> pathlib.Path:
    """Returns what `find_folder` finds; without `spellings`, `root`.

    Raises:
      UserError: there is no such folder; the message names what was looked for.
    """
    if not pathlib.Path(root).is_dir():
        raise UserError(f"{root} is not a folder: give the folder of a corpus")
    found = find_folder(root, *spellings) if spellings else pathlib.Path(root)
    if found is None:
        there = ", ".join(sorted(os.listdir(root))[:_MAX_NAMES]) or "nothing"
        raise UserError(
            f"{root} has no folder {' or '.join(spellings)} (it holds {there}): "
            "give the folder of the corpus as its owners lay it out"
        )
    return found


def same_name(name: str, other: str) -> bool:
    """Returns whether two names differ in nothing but case, spaces, "-" and "_"."""
    return _bare(name) == _bare(other)


def list_clips(
    folder: str | os.PathLike, *, corpus: str, known: Collection[str] = ()
) -> dict[str, pathlib.Path]:
    """Returns videos and folders of frames anywhere below `folder`, by path without suffix, sorted.

    A folder that holds pictures is one clip. What is neither video nor picture, and not of the
    names `known`, is reported, and so are empty folders.

    Raises:
      UserError: two clips differ in nothing but the suffix.
    """
    folder = pathlib.Path(folder)
    clips: dict[str, pathlib.Path] = {}
    unknown, empty = [], []
    for path in _walk(folder):
        name = path.relative_to(folder)
        if path.is_dir():
            empty.append(name.as_posix())
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            path, name = path.parent, name.parent
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            name = name.with_suffix("")
        else:
            unknown += [name.as_posix()] if path.name not in known else []
            continue
        if clips.setdefault(name.as_posix(), path) != path:
            raise UserError(f"{clips[name.as_posix()]} and {path} are both there: keep one")
    report(corpus, f"files in {folder} are neither video nor picture", unknown)
    report(corpus, f"folders in {folder} are empty", empty)
    return dict(sorted(clips.items()))


def list_pictures(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Returns the pictures directly in `folder`, ordered by name."""
    files = (path for path in pathlib.Path(folder).iterdir() if not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() in IMAGE_SUFFIXES)


def read_text(path: str | os.PathLike) -> str:
    """Returns the text of a label file.

    Raises:
      UserError: it is missing, too long, or not UTF-8.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"{path} is missing: put the file of the corpus's owners there")
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"{path} is over {_MAX_BYTES >> 20} MiB: this is no label file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8 ({error}): get it anew") from error


def read_lines(path: str | os.PathLike) -> list[tuple[str, str]]:
    """Returns (where, text) of every line that is not blank: "file line 3" for messages."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    return [(f"{path} line {number}", line.strip()) for number, line in lines if line.strip()]


def read_json(path: str | os.PathLike, kind: type = dict) -> Any:
    """Returns what a JSON file holds: a `kind`, in which no key occurs twice.

    Raises:
      UserError: it is something else.
    """
    try:
        found = json.loads(read_text(path), object_pairs_hook=_unique_keys)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): get it anew") from error
    except KeyError as error:
        raise UserError(f"{path} names {error} twice: get it anew") from error
    if not isinstance(found, kind):
        raise UserError(f"{path} holds a {type(found).__name__}, not a {kind.__name__}")
    return found


def read_csv(path: str | os.PathLike, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Returns (where, row) of every row: "file line 3" for messages, and its cells by column.

    Columns that are not asked for are left out; case does not matter in the header.

    Raises:
      UserError: it is not CSV with a header that names `columns`, or a row is too short.
    """
    reader = csv.DictReader(read_text(path).splitlines(), skipinitialspace=True)
    rows = []
    try:
        header = reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if not set(columns) <= set(header):
            raise UserError(
                f"{path} has the columns {', '.join(header) or 'none'}: "
                f"{', '.join(columns)} are needed"
            )
        for row in reader:
            where = f"{path} line {reader.line_num}"
            if any(row[column] is None for column in columns):
                raise UserError(f"{where} has too few cells: get the file anew")
            rows.append((where, {column: row[column].strip() for column in columns}))
    except csv.Error as error:
        raise UserError(f"{path} is not CSV ({error}): get it anew") from error
    return rows


def relative_path(text: str, where: str) -> pathlib.PurePosixPath:
    r"""Returns the path that a label file writes, with "/" for "\".

    Raises:
      UserError: it is empty or leads out of the corpus.
    """
    path = pathlib.PurePosixPath(os.path.normpath(text.strip().replace("\\", "/")))
    if not text.strip() or "\0" in text or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: path {text!r}: paths start at the folder of the corpus")
    return path


def check_methods(methods: Iterable[str] | None, known: Iterable[str]) -> None:
    """Raises ValueError if one of the `methods` that were asked for is not `known`."""
    if unknown := sorted(set(methods or ()) - set(known)):
        raise UserError(f"methods {', '.join(unknown)}: use some of {', '.join(sorted(known))}")


def report(corpus: str, what: str, names: Iterable[str]) -> None:
    """Warns of `names`, if there are any: "corpus: 7 what: a, b, c, d, e, …"."""
    names = sorted(names)
    if names:
        _LOGGER.warning("%s: %s %s: %s", corpus, f"{len(names):,}", what, _enumerate(names))


def check_counts(
    corpus: str, part: str, found: Collection[str], expected: int | Collection[str]
) -> None:
    """Warns in one line if the names `found` are not those, or not as many as, published."""
    if isinstance(expected, int):
        deviations = [""] if len(found) != expected else []
        count = expected
    else:
        differences = (
            ("missing", set(expected) - set(found)),
            ("not published", set(found) - set(expected)),
        )
        deviations = [
            f"; {what}: {_enumerate(sorted(names))}" if found else ""
            for what, names in differences
            if names
        ]
        count = len(expected)
    if deviations:
        _LOGGER.warning(
            "%s: %s: %s of %s clips%s",
            corpus, part, f"{len(found):,}", f"{count:,}", "".join(deviations),
        )  # fmt: skip


def make_clip(
    corpus: str,
    root: str | os.PathLike,
    path: pathlib.Path,
    *,
    method: str,
    split: str,
    origin_ids: Iterable[str],
) -> Clip:
    """Returns the clip at `path` below `root`: real if its method is "real", else fake."""
    return Clip(
        key=f"{corpus}/{method}/{path.relative_to(root).as_posix()}",
        path=os.fspath(path),
        label=int(method != "real"),
        method=method,
        split=split,
        origin_ids=tuple(dict.fromkeys(origin_ids)),
    )


def link_originals(clips: Sequence[Clip]) -> list[Clip]:
    """Returns `clips`, each fake with the real clip of the same first source as its original."""
    reals = {clip.origin_ids[0]: clip.key for clip in clips if clip.label == 0}
    return [
        dataclasses.replace(clip, original=reals.get(clip.origin_ids[0], ""))
        if clip.label
        else clip
        for clip in clips
    ]


def hold_out_val(
    clips: Sequence[Clip], *, seed: int, shares: Sequence[float], ties: str = ""
) -> list[Clip]:
    """Returns `clips` with a part of those of train in val, by the shares of train and val.

    Clips that share a source that begins with `ties` stay together.

    Raises:
      UserError: shares that are negative, do not sum to 1, or give all to test.
    """
    train, val, _ = shares
    if train + val <= 0:
        raise UserError(f"splits {tuple(shares)}: the test split is the owners': share the rest")
    pool = [clip for clip in clips if clip.split == "train"]
    dealt = splitting.assign_splits(
        [clip.key for clip in pool],
        [clip.label for clip in pool],
        [[source for source in clip.origin_ids if source.startswith(ties)] for clip in pool],
        seed=seed,
        shares=(train / (train + val), val / (train + val), 0),
    )
    split = {clip.key: split for clip, split in zip(pool, dealt, strict=True)}
    return [dataclasses.replace(clip, split=split.get(clip.key, clip.split)) for clip in clips]


def drop_leaks(
    corpus: str, clips: Sequence[Clip], *, keep: Sequence[str] = ("test", "val")
) -> list[Clip]:
    """Returns `clips` without those that share a source with a split of `keep`, and says how many.

    The splits of `keep` go first to last: with ("test", "val"), all of test stays, what val shares
    with test goes, and what train shares with either.
    """
    left = list(clips)
    for rank, split in enumerate(keep):
        origin_ids = {source for clip in left if clip.split == split for source in clip.origin_ids}
        left = [
            clip
            for clip in left
            if clip.split in keep[: rank + 1] or origin_ids.isdisjoint(clip.origin_ids)
        ]
    kept = {clip.key for clip in left}
    dropped = [clip.key for clip in clips if clip.key not in kept]
    report(corpus, f"clips left out: they share a source with {' or '.join(keep)}", dropped)
    return left


def check_clips(root: str | os.PathLike, clips: Iterable[Clip]) -> list[Clip]:
    """Returns `clips` ordered by key.

    Raises:
      UserError: there is none, a key occurs twice, or a label contradicts its method.
    """
    clips = sorted(clips, key=lambda clip: clip.key)
    if not clips:
        raise UserError(f"{root} holds no clip of this corpus: give its folder")
    for clip, following in itertools.pairwise(clips):
        if clip.key == following.key:
            raise UserError(f"{clip.path} and {following.path} are both {clip.key}: keep one")
    for clip in clips:
        if (clip.label == 0) != (clip.method == "real"):
            raise UserError(f"{clip.path}: label {clip.label} but method {clip.method}")
    return clips


def _subfolder(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    if (folder / name).is_dir():
        return folder / name
    alike = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if same_name(path.name, name) and path.is_dir()
    ]
    if len(alike) > 1:
        raise UserError(f"{' and '.join(map(str, sorted(alike)))} are both there: keep one")
    return alike[0] if alike else None


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _walk(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields files and empty folders, hidden ones aside; a linked folder is entered once."""
    entered = set()
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
        files = [pathlib.Path(parent, name) for name in sorted(names) if name[0] != "."]
        yield from files if files or subfolders else [pathlib.Path(parent)]


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return found


def _enumerate(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MAX_NAMES], "…"] if len(names) > _MAX_NAMES else names)
