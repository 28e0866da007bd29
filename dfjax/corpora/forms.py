"""One form for all clips of a corpus: videos, or folders of frames.

People extract the frames of some videos, or delete the videos of others. If reals were then read
from videos and fakes from pictures, a detector would learn the difference between the two. So the
form is chosen once for a corpus: the one that most of its clips have, in both classes. A warning
counts what is there in another form.
"""

import collections
import dataclasses
import logging
import os
import pathlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from dfjax.corpora import layout
from dfjax.corpora.clip import LABELS
from dfjax.errors import UserError
from dfjax.media import suffix

_LOGGER = logging.getLogger("dfjax.corpora")
_FORMS = ("videos", "frames")
_MASKS = "masks"  # of forged regions, beside videos/ and frames/; these are no clips

Key = TypeVar("Key")
Paths = dict[str, str]
Part = dict["Copy", Paths]
"""The paths of a part of a corpus by copy and name; a clip may have several copies."""


@dataclasses.dataclass(frozen=True, order=True)
class Copy:
    """Where the clips of a folder are.

    Attributes:
      form: "videos" or "frames".
      kind: the subfolder that holds them, one of `layout.KINDS`; "" for the folder itself.
    """

    form: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.form} in {self.kind}/" if self.kind else self.form


def list_part(
    folder: str | os.PathLike | None, *, corpus: str, known: Collection[str] = ()
) -> Part:
    """Returns the clips in `folder`, and in each subfolder of it that is one of `layout.KINDS`.

    `known` are files that are no clips, as for `layout.list_clips`. A folder of the same name that
    is all there is in `folder`, as archives leave it, stands for it. There are no clips if `folder`
    is None.

    Raises:
      UserError: two subfolders spell the same kind, or two clips differ in their suffix alone.
    """
    if folder is None:
        return {}
    folder = _unwrap(pathlib.Path(folder))
    nested = _find_kinds(folder)
    skip = [place.name for place in nested.values()]
    skip += [_MASKS] if nested else []
    part = split_forms(layout.list_clips(folder, corpus=corpus, known=known, skip=skip))
    for kind, place in nested.items():
        part |= split_forms(layout.list_clips(place, corpus=corpus, known=known), kind)
    return part


def split_forms(paths: Paths, kind: str = "") -> Part:
    """Returns the part whose clips are `paths`, listed in the subfolder `kind`."""
    videos = {name: path for name, path in paths.items() if suffix.is_video(path)}
    frames = {name: path for name, path in paths.items() if name not in videos}
    found = zip(_FORMS, (videos, frames), strict=True)
    return {Copy(form, kind): clips for form, clips in found if clips}


def keep_named(corpus: str, part: Part, pattern: str | re.Pattern[str], message: str) -> Part:
    """Returns `part` without the clips whose names do not match; warns of those by `message`."""
    unknown = {name for paths in part.values() for name in paths if not re.fullmatch(pattern, name)}
    layout.warn(corpus, message, unknown)
    return {
        copy: {name: path for name, path in paths.items() if name not in unknown}
        for copy, paths in part.items()
    }


def choose(
    corpus: str,
    parts: Mapping[Key, Part],
    label_of: Callable[[Key, str], int | None],
) -> dict[Key, Paths]:
    """Returns the paths of each part by name, all in one form.

    `label_of` maps a part and a name to the label, or to None if the name is none of the corpus.
    Of several copies in that form, a part has the one that is largest in the corpus, unless it
    lacks more than half of the part's clips. Warns about what is there in other copies.

    Raises:
      UserError: there is no form that at least half of the reals and half of the fakes have.
    """
    form = _choose_form(corpus, parts, label_of)
    ranks = _rank_copies(parts, form)
    chosen = {key: _choose_copy(part, ranks) for key, part in parts.items()}
    _warn_about_copies(corpus, parts, chosen, label_of, form)
    _warn_about_kinds(corpus, parts, chosen, label_of)
    return {key: parts[key].get(copy, {}) for key, copy in chosen.items()}


def choose_by_class(corpus: str, parts: Mapping[str, Part]) -> dict[str, Paths]:
    """Returns the result of `choose` for parts named by their method, of which "real" is real."""
    return choose(corpus, parts, lambda method, _: int(method != "real"))


def _unwrap(folder: pathlib.Path) -> pathlib.Path:
    inner = folder / folder.name
    return inner if inner.is_dir() and len(os.listdir(folder)) == 1 else folder


def _find_kinds(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    found: dict[str, pathlib.Path] = {}
    for place in layout.subfolders(folder):
        kind = next((kind for kind in layout.KINDS if layout.same_name(kind, place.name)), None)
        if kind and found.setdefault(kind, place) != place:
            raise UserError(f"{found[kind]} and {place} both exist: keep one")
    return found


def _choose_form(
    corpus: str, parts: Mapping[Key, Part], label_of: Callable[[Key, str], int | None]
) -> str:
    """Returns the form that most clips have, and that at least half of each class has."""
    there = {copy.form for part in parts.values() for copy, paths in part.items() if paths}
    if len(there) < 2:
        return there.pop() if there else _FORMS[0]
    having = {(form, label): set() for form in _FORMS for label in range(len(LABELS))}
    for key, part in parts.items():
        for copy, paths in part.items():
            for name in paths:
                if (label := label_of(key, name)) is not None:
                    having[copy.form, label].add((key, name))
    counts = {place: len(names) for place, names in having.items()}
    total = [len(having["videos", c] | having["frames", c]) for c in range(len(LABELS))]
    fit = [f for f in _FORMS if all(2 * counts[f, c] >= total[c] for c in range(len(LABELS)))]
    if not fit:
        numbers = "; ".join(
            f"{name}s: {counts['videos', c]:,} videos, {counts['frames', c]:,} folders of frames"
            for c, name in enumerate(LABELS)
        )
        raise UserError(
            f"{corpus}: the classes differ in their form ({numbers}), which a detector would "
            "learn: extract the frames of all clips in the same way, or have all as videos"
        )
    return max(fit, key=lambda form: sum(counts[form, c] for c in range(len(LABELS))))


def _rank_copies(parts: Mapping[Key, Part], form: str) -> list[Copy]:
    """Returns the copies of a form; that of most clips is the first."""
    sizes = collections.Counter()
    for part in parts.values():
        sizes.update({copy: len(paths) for copy, paths in part.items() if copy.form == form})
    order = {kind: rank for rank, kind in enumerate((*layout.KINDS, ""))}
    return sorted(sizes, key=lambda copy: (-sizes[copy], order[copy.kind]))


def _choose_copy(part: Part, ranks: Iterable[Copy]) -> Copy | None:
    sizes = {copy: len(part[copy]) for copy in ranks if part.get(copy)}
    most = max(sizes.values(), default=0)
    return next((copy for copy, size in sizes.items() if 2 * size >= most), None)


def _warn_about_copies(
    corpus: str,
    parts: Mapping[Key, Part],
    chosen: Mapping[Key, Copy | None],
    label_of: Callable[[Key, str], int | None],
    form: str,
) -> None:
    """Warns in one line about the clips of the corpus that are (also) there in another copy."""
    others, lost = collections.Counter(), 0
    for key, part in parts.items():
        read = part.get(chosen[key], {})
        unread: set[str] = set()
        for copy in part.keys() - {chosen[key]}:
            names = {name for name in part[copy] if label_of(key, name) is not None}
            others[copy] += len(names)
            unread |= names - read.keys()
        lost += len(unread)
    if others.total():
        found = ", ".join(f"{n:,} as {copy}" for copy, n in sorted(others.items()) if n)
        only = f"; {lost:,} clips are there alone and are left out" if lost else ""
        _LOGGER.warning("%s: all clips are read as %s; not read: %s%s", corpus, form, found, only)


def _warn_about_kinds(
    corpus: str,
    parts: Mapping[Key, Part],
    chosen: Mapping[Key, Copy | None],
    label_of: Callable[[Key, str], int | None],
) -> None:
    """Warns if reals and fakes are frames in subfolders of different names."""
    kinds: dict[int, set[str]] = {label: set() for label in range(len(LABELS))}
    for key, copy in chosen.items():
        if copy and copy.form == "frames" and copy.kind:
            for label in {label_of(key, name) for name in parts[key][copy]} - {None}:
                kinds[label].add(copy.kind)
    reals, fakes = (" and ".join(sorted(kinds[label])) for label in range(len(LABELS)))
    if reals and fakes and reals != fakes:
        _LOGGER.warning(
            "%s: reals are in %s/ but fakes in %s/: make sure that both were cut in the same way",
            corpus, reals, fakes,
        )  # fmt: skip
