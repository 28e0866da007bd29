"""Which pictures in folders belong together: frames of one video, series, or none of these.

Frames of one video in two splits are a leak, and strangers' portraits taken for one video leave a
class in one split. Nothing but names tells them apart: a warning says what they were taken for.
"""

import collections
import dataclasses
import re
from collections.abc import Collection, Iterable, Sequence

from dfjax.corpora import layout

_ENOUGH = 3  # series of a class: one for each split
_MOST_CHANGING = 2  # numbers in the names of frames: the frame's and the face's
_NUMBER = re.compile(r"\d+")
_NUMBERED = re.compile(r"(.*\D|)\d+\D*")  # what is before the last number of a name


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture by its place.

    Attributes:
      label: 0 real, 1 fake.
      folder: that of the picture, as far as it may group pictures.
      is_deep: whether this is a folder of its own, below those of the class and of the method.
      stem: the name of the picture, without its suffix.
    """

    label: int
    folder: str
    is_deep: bool
    stem: str


def group_pictures(pictures: Sequence[Picture]) -> list[str]:
    """Returns the group of each picture: pictures of one group must stay in one split.

    A group is a deep folder in which names run on ("frame_0001"), as those of the frames of one
    video do. It is any other deep folder, or the pictures whose names are equal up to their last
    number ("clip7_0001", "anna 2"), if that costs nothing: no class has such series in fewer than
    three, or half of its pictures in one. All other pictures stand alone. Warns about the groups.
    """
    stems = collections.defaultdict(set)
    for picture in pictures:
        if picture.is_deep:
            stems[picture.folder].add(picture.stem)
    frames = {folder for folder, names in stems.items() if _run_on(names)}
    whole = frames | _separable((each.label, each.folder) for each in pictures if each.is_deep)
    prefixes = {
        each: f"{each.folder}/{prefix}".strip("/")
        for each in pictures
        if not (each.is_deep and each.folder in whole) and (prefix := _prefix(each.stem))
    }
    series = _separable((each.label, prefixes[each]) for each in pictures if each in prefixes)
    _warn(stems, frames, (whole - frames) | series)
    return [_group(picture, whole, prefixes.get(picture, ""), series) for picture in pictures]


def _group(picture: Picture, whole: Collection[str], prefix: str, series: Collection[str]) -> str:
    if picture.is_deep and picture.folder in whole:
        return picture.folder
    return prefix if prefix in series else f"{picture.folder}/{picture.stem}".strip("/")


def _run_on(stems: Collection[str]) -> bool:
    """Whether most names differ in a number, or in two, and in nothing else."""
    patterns = collections.Counter(_NUMBER.sub("#", stem) for stem in stems)
    pattern, count = patterns.most_common(1)[0]
    if "#" not in pattern or 2 * count <= len(stems):
        return False
    numbers = (_NUMBER.findall(stem) for stem in stems if _NUMBER.sub("#", stem) == pattern)
    changing = sum(len(set(column)) > 1 for column in zip(*numbers, strict=True))
    return changing <= _MOST_CHANGING


def _prefix(stem: str) -> str:
    numbered = _NUMBERED.fullmatch(stem)
    return numbered[1].rstrip(" _-.(") if numbered else ""


def _separable(series: Iterable[tuple[int, str]]) -> set[str]:
    """The series that may stay whole; `series` has the label and the series of each picture."""
    counts: dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    for label, name in series:
        counts[label][name] += 1
    too_large = {
        name
        for count in counts.values()
        for name, size in count.items()
        if len(count) < _ENOUGH or 2 * size > count.total()
    }
    return {name for count in counts.values() for name in count} - too_large


def _warn(stems: dict[str, set[str]], frames: set[str], series: set[str]) -> None:
    layout.warn(
        "folder",
        "folders of pictures are taken for the frames of one video each, as their names run on "
        "(manifest.csv can say otherwise)",
        (folder for folder in frames if len(stems[folder]) > 1),
    )
    layout.warn(
        "folder",
        "series of pictures stay together, by their folders or names (manifest.csv can say "
        "otherwise)",
        series,
    )
