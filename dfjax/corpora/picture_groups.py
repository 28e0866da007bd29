"""Which pictures in folders belong together: frames of one video, series, or none of these.

Frames of one video in two splits are a leak, and strangers' portraits taken for one video leave a
class in one split. Nothing but names tells them apart: a warning says what they were taken for.
"""

import collections
import dataclasses
import re
from collections.abc import Collection, Sequence

from dfjax.corpora import layout

_ENOUGH = 3  # groups of a class: one for each split
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
    number ("clip7_0001", "anna 2"), if that costs nothing: no class then falls into fewer than
    three groups, or has half of its pictures in this one. All others stand alone. Warns about the
    groups.
    """
    frames = _frames(pictures)
    whole = frames | _separable(
        pictures, [each.folder if each.is_deep else _alone(each) for each in pictures]
    )
    series = [
        each.folder if each.is_deep and each.folder in whole else prefix
        for each, prefix in zip(pictures, _prefixes(pictures), strict=True)
    ]
    kept = whole | _separable(pictures, series)
    groups = [
        name if name in kept else _alone(each) for each, name in zip(pictures, series, strict=True)
    ]
    _warn(pictures, groups, frames)
    return groups


def _alone(picture: Picture) -> str:
    return f"{picture.folder}/{picture.stem}".lstrip("/")


def _frames(pictures: Sequence[Picture]) -> set[str]:
    """The folders of frames of one video."""
    stems = collections.defaultdict(set)
    for picture in pictures:
        if picture.is_deep:
            stems[picture.folder].add(picture.stem)
    return {folder for folder, names in stems.items() if _run_on(names)}


def _run_on(stems: Collection[str]) -> bool:
    """Whether nearly all names differ in a number, or in two, and in nothing else."""
    patterns = collections.Counter(_NUMBER.sub("#", stem) for stem in stems)
    pattern, count = patterns.most_common(1)[0]
    if "#" not in pattern or 10 * count < 9 * len(stems):
        return False
    numbers = (_NUMBER.findall(stem) for stem in stems if _NUMBER.sub("#", stem) == pattern)
    changing = sum(len(set(column)) > 1 for column in zip(*numbers, strict=True))
    return changing <= _MOST_CHANGING


def _prefixes(pictures: Sequence[Picture]) -> list[str]:
    """What several names have before their last number; else the picture itself."""
    prefixes = [_prefix(picture) for picture in pictures]
    names = {(prefix, each.stem) for prefix, each in zip(prefixes, pictures, strict=True)}
    shared = collections.Counter(prefix for prefix, _ in names)
    return [
        prefix if prefix and shared[prefix] > 1 else _alone(each)
        for prefix, each in zip(prefixes, pictures, strict=True)
    ]


def _prefix(picture: Picture) -> str:
    numbered = _NUMBERED.fullmatch(picture.stem)
    start = numbered[1].rstrip(" _-.(") if numbered else ""
    return f"{picture.folder}/{start}".lstrip("/") if start else ""


def _separable(pictures: Sequence[Picture], series: Sequence[str]) -> set[str]:
    """The series, one for each picture, that may stay whole."""
    counts: dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    for picture, name in zip(pictures, series, strict=True):
        counts[picture.label][name] += 1
    too_large = {
        name
        for count in counts.values()
        for name, size in count.items()
        if len(count) < _ENOUGH or 2 * size > count.total()
    }
    return set(series) - too_large


def _warn(pictures: Sequence[Picture], groups: Sequence[str], frames: Collection[str]) -> None:
    names = {(group, each.stem) for group, each in zip(groups, pictures, strict=True)}
    sizes = collections.Counter(group for group, _ in names)
    grouped = {group for group, size in sizes.items() if size > 1}
    layout.warn(
        "folder",
        "folders of pictures are taken for the frames of one video each, as their names run on "
        "(manifest.csv can say otherwise)",
        grouped & set(frames),
    )
    layout.warn(
        "folder",
        "series of pictures stay together, by their folders or names (manifest.csv can say "
        "otherwise)",
        grouped - set(frames),
    )
