"""From a folder tree to clips: folders in any of their spellings, the clips in them, their counts.

A deviation that leaves a corpus usable is one warning of the logger "dfjax.corpora". One that could
make labels or splits wrong is a UserError. Imports nothing that decodes.
"""

import collections
import fnmatch
import itertools
import logging
import os
import pathlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from dfjax import walk
from dfjax.corpora.clip import Clip
from dfjax.errors import UserError
from dfjax.media import suffix

_LOGGER = logging.getLogger("dfjax.corpora")

KINDS = ("videos", "video", "frames", "images", "face_images", "faces", "crops")
"""Subfolders that may hold the clips of a folder, in any spelling; see `forms`."""

_MAX_NAMES = 5  # in a message


def find_folder(root: str | os.PathLike, *spellings: str) -> pathlib.Path | None:
    """Returns the first of the folders `spellings` (relative paths) below `root` that exists.

    Returns None if none does. Case, spaces, "-" and "_" do not matter, but an exact match wins.

    Raises:
      UserError: several folders match one spelling, none of them exactly.
    """
    for spelling in spellings:
        folder = pathlib.Path(root)
        for part in pathlib.PurePosixPath(spelling).parts:
            folder = folder and _subfolder(folder, part)
        if folder and folder.is_dir():
            return folder
    return None


def require_folder(root: str | os.PathLike, *spellings: str) -> pathlib.Path:
    """Returns the folder of `find_folder`; without `spellings`, `root`.

    Raises:
      UserError: there is no such folder.
    """
    if not pathlib.Path(root).is_dir():
        raise UserError(f"{root} is not a folder: give the folder of a corpus")
    folder = find_folder(root, *spellings) if spellings else pathlib.Path(root)
    if folder is None:
        content = ", ".join(sorted(os.listdir(root))[:_MAX_NAMES]) or "nothing"
        raise UserError(
            f"{root} has no folder {' or '.join(spellings)} (it holds {content}): "
            "give the folder of the corpus as its owners lay it out"
        )
    return folder


def same_name(name: str, other: str) -> bool:
    """Returns whether two names are equal apart from case, spaces, "-" and "_"."""
    return _bare(name) == _bare(other)


def find_root(corpus: str, root: str | os.PathLike, *signs: str) -> pathlib.Path:
    """Returns the folder of a corpus: `root`, or the one folder below it that has one of `signs`.

    The signs are names, or patterns of names, in any spelling. Two levels are searched, and a
    folder that is found there is named in a warning. Returns `root` if there is none, since the
    reader of the corpus knows better what is missing.

    Raises:
      UserError: `root` is no folder or itself one of the signs, or several folders have them.
    """
    root = require_folder(root)
    is_sign = re.compile("|".join(fnmatch.translate(_bare(sign)) for sign in signs)).match
    if _has_sign(root, is_sign):
        return root
    level = [root]
    for _ in range(2):
        level = [folder for parent in level for folder in subfolders(parent)]
        found = [folder for folder in level if _has_sign(folder, is_sign)]
        if len(found) > 1:
            folders = _enumerate([*map(str, found)])
            raise UserError(f"{root} has {corpus} in several folders, {folders}: give one of them")
        if found:
            _LOGGER.warning("%s: read from %s, which has the corpus", corpus, found[0])
            return found[0]
    place = pathlib.Path(os.path.abspath(root))
    if is_sign(_bare(place.name)):
        raise UserError(f"{root} is a folder of {corpus}: give {place.parent}, which has them all")
    return root


def subfolders(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Returns the folders in `folder` that are not hidden, by name; none if it is not readable."""
    if not os.access(folder, os.R_OK):
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name[0] != "." and entry.is_dir()]
    return [pathlib.Path(folder, name) for name in sorted(names)]


def list_clips(
    folder: str | os.PathLike,
    *,
    corpus: str,
    known: Collection[str] = (),
    skip: Collection[str] = (),
) -> dict[str, str]:
    """Returns the videos and folders of frames at any depth of `folder`, sorted by name.

    The name of a clip is its path below `folder`, without suffix. A folder that holds pictures is
    one clip. Subfolders named in `skip` are not entered. Warns about empty folders, and about files
    that are neither video nor picture, apart from those named in `known`.

    Raises:
      UserError: two clips differ in their suffix alone.
    """
    folder = os.fspath(pathlib.Path(folder))
    clips: dict[str, str] = {}
    unknown, empty = [], []
    for parent, nested, names in walk.walk(folder):
        inside = parent[len(folder) :].lstrip("/")
        if inside and not nested and not names:
            empty.append(inside)
        if not inside:
            nested[:] = [name for name in nested if name not in skip]
        for file in names:
            path, name = f"{parent}/{file}", f"{inside}/{file}" if inside else file
            if suffix.is_image(file):
                path, name = parent, inside or "."
            elif suffix.is_video(file):
                name = name.rpartition(".")[0]
            else:
                unknown += [name] if file not in known else []
                continue
            if clips.setdefault(name, path) != path:
                raise UserError(f"{clips[name]} and {path} both exist: keep one")
    warn(corpus, f"files in {folder} are neither video nor picture", unknown)
    warn(corpus, f"folders in {folder} are empty", empty)
    return dict(sorted(clips.items()))


def list_pictures(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Returns the pictures directly in `folder`, ordered by name."""
    files = (path for path in pathlib.Path(folder).iterdir() if not path.name.startswith("."))
    return sorted(path for path in files if suffix.is_image(path))


def check_methods(methods: Iterable[str] | None, known: Iterable[str]) -> None:
    """Raises UserError if one of `methods` is not `known`; None stands for all."""
    if unknown := sorted(set(methods or ()) - set(known)):
        raise UserError(f"methods {', '.join(unknown)}: use some of {', '.join(sorted(known))}")


def warn(corpus: str, what: str, names: Iterable[str]) -> None:
    """Warns about `names`, if there are any: "corpus: 7 what: a, b, c, d, e, …"."""
    names = sorted(names)
    if names:
        _LOGGER.warning("%s: %s %s: %s", corpus, f"{len(names):,}", what, _enumerate(names))


def check_counts(
    corpus: str, part: str, names: Collection[str], published: int | Collection[str]
) -> None:
    """Warns in one line if `names` differ from those published, or from their number."""
    if isinstance(published, int):
        count, deviates, details = published, len(names) != published, ""
    else:
        missing, extra = set(published) - set(names), set(names) - set(published)
        count, deviates, details = len(published), bool(missing or extra), ""
        if names and missing:
            details += f"; missing: {_enumerate(sorted(missing))}"
        if extra:
            details += f"; not published: {_enumerate(sorted(extra))}"
    if deviates:
        _LOGGER.warning(
            "%s: %s: %s of %s clips%s", corpus, part, f"{len(names):,}", f"{count:,}", details
        )


def make_clip(
    corpus: str,
    root: pathlib.Path,
    path: str,
    *,
    method: str,
    split: str,
    origin_ids: Iterable[str],
) -> Clip:
    """Returns the clip at `path` below `root`: real if its method is "real", else fake."""
    return Clip(
        key=f"{corpus}/{method}/{path.removeprefix(f'{root}/')}",
        path=path,
        label=int(method != "real"),
        method=method,
        split=split,
        origin_ids=tuple(dict.fromkeys(origin_ids)),
    )


def link_originals(corpus: str, clips: Sequence[Clip]) -> list[Clip]:
    """Returns `clips`; the original of a fake is the real clip with the same first origin id.

    The first origin id of a clip is that of its real video: itself, or what a fake was made from.
    Of several real clips, pictures of one video, it is that of the same frame, or of the nearest.
    Warns about the fakes whose original is absent.
    """
    reals: dict[str, dict[int, str]] = collections.defaultdict(dict)
    for clip in clips:
        if clip.label == 0:
            reals[clip.origin_ids[0]][clip.frame] = clip.key
    linked = [_link_original(clip, reals) if clip.label else clip for clip in clips]
    orphans = [clip.key for clip in linked if clip.orphan]
    fakes = sum(clip.label for clip in linked)
    what = f"of {fakes:,} fakes were made from videos that are not here: only fakes show those"
    warn(corpus, what, orphans)
    return linked


def check_clips(root: str | os.PathLike, clips: Iterable[Clip]) -> list[Clip]:
    """Returns `clips` ordered by key.

    Raises:
      UserError: there are none, a key occurs twice, or a label contradicts its method.
    """
    clips = sorted(clips, key=lambda clip: clip.key)
    if not clips:
        content = _enumerate(sorted(os.listdir(root))) if os.path.isdir(root) else "no folder"
        raise UserError(
            f"{root} has no clip of this corpus (it holds {content or 'nothing'}): give the folder "
            "of the corpus as its owners lay it out"
        )
    for clip, following in itertools.pairwise(clips):
        if clip.key == following.key:
            raise UserError(f"{clip.path} and {following.path} are both {clip.key}: keep one")
    for clip in clips:
        if (clip.label == 0) != (clip.method == "real"):
            raise UserError(f"{clip.path}: label {clip.label} but method {clip.method}")
    return clips


def _link_original(fake: Clip, reals: Mapping[str, Mapping[int, str]]) -> Clip:
    keys = reals.get(fake.origin_ids[0], {})
    frame = (
        fake.frame
        if fake.frame in keys
        else min(keys, key=lambda f: abs(f - fake.frame), default=0)
    )
    # `dataclasses.replace` takes thrice as long, which shows with the 104,500 fakes of DFDC.
    return Clip(
        fake.key, fake.path, fake.label, fake.method, fake.split, fake.origin_ids,
        keys.get(frame, ""), fake.frame, frame == fake.frame, orphan=not keys,
    )  # fmt: skip


def _subfolder(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    if (folder / name).is_dir():
        return folder / name
    matches = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if same_name(path.name, name) and path.is_dir()
    ]
    if len(matches) > 1:
        raise UserError(f"{' and '.join(map(str, sorted(matches)))} both exist: keep one")
    return matches[0] if matches else None


def _has_sign(folder: pathlib.Path, is_sign: Callable[[str], object]) -> bool:
    return os.access(folder, os.R_OK) and any(is_sign(_bare(n)) for n in os.listdir(folder))


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _enumerate(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MAX_NAMES], "…"] if len(names) > _MAX_NAMES else names)
