"""Trees of folders whose names say what is in them: real or fake, and train, val or test.

Such as real/ and fake/, Train/Real/, valid/fake/, training_real/ or test/car/0_real/: case does not
matter, nor do numbers and words like "images" beside these. The folders of the least depth that say
"real" or "fake" are read, and everything below them.
"""

import dataclasses
import pathlib
import re

from dfjax import walk
from dfjax.corpora import layout
from dfjax.errors import UserError
from dfjax.media import suffix

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_CLASSES = {"real": 0, "reals": 0, "fake": 1, "fakes": 1}
_KINDS = ("clip", "data", "face", "frame", "image", "img", "photo", "picture", "set", "video")
_OTHERS = frozenset(word for kind in _KINDS for word in (kind, f"{kind}s"))  # beside these
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_a-zA-Z]+")


@dataclasses.dataclass(frozen=True)
class ClassFolder:
    """A folder of pictures and videos.

    Attributes:
      path: below the root.
      label: 0 real, 1 fake.
      split: "" if no name on the way says one.
      scope: what else the names above that folder say.
      inner: the path below that folder.
      names: of the pictures and videos in it.
    """

    path: pathlib.PurePath
    label: int
    split: str
    scope: pathlib.PurePath
    inner: pathlib.PurePath
    names: tuple[str, ...]


def read_folders(root: pathlib.Path) -> list[ClassFolder]:
    """Returns the folders below `root` with pictures or videos that have a class, by their paths.

    Warns about pictures and videos beside them.

    Raises:
      UserError: no name of a folder says a class, or those on the way to one say both.
    """
    found: list[tuple[int, ClassFolder]] = []
    beside = []
    for parent, _, names in walk.walk(root):
        path = pathlib.Path(parent).relative_to(root)
        media = tuple(name for name in names if suffix.is_image(name) or suffix.is_video(name))
        labels = [_meaning(part)[0] for part in path.parts]
        depth = next((place for place, label in enumerate(labels) if label is not None), None)
        if depth is not None:
            found.append((depth, _class_folder(path, depth, media)))
        elif media:
            beside.append(path)
    if not found:
        raise UserError(
            f"{root} has neither manifest.csv nor a folder real or fake: add one, or give the "
            "folder that holds these"
        )
    least = min(depth for depth, _ in found)
    beside += [folder.path for depth, folder in found if depth > least and folder.names]
    layout.warn("folder", "folders beside real and fake are not read", map(str, beside))
    return [_checked(folder) for depth, folder in found if depth == least]


def _class_folder(path: pathlib.PurePath, depth: int, names: tuple[str, ...]) -> ClassFolder:
    """A folder whose class is said by the part of its path at `depth`."""
    above, below = path.parts[:depth], path.parts[depth + 1 :]
    label, split = _meaning(path.parts[depth])
    splits = [split, *(_meaning(part)[1] for part in above)]
    if below and not any(splits):  # real/train/ instead of train/real/
        splits.append(_meaning(below[0])[1])
        below = below[1:] if splits[-1] else below
    return ClassFolder(
        path=path,
        label=label,
        split=next(filter(None, splits), ""),
        scope=pathlib.PurePath(*(part for part in above if not _meaning(part)[1])),
        inner=pathlib.PurePath(*below),
        names=names,
    )


def _checked(folder: ClassFolder) -> ClassFolder:
    labels = {_meaning(part)[0] for part in folder.path.parts}
    if folder.names and {0, 1} <= labels:
        raise UserError(f"{folder.path} says real and fake: move what is in it to one of them")
    return folder


def _meaning(name: str) -> tuple[int | None, str]:
    """The label and the split that the name of a folder says; None and "" if it says neither."""
    words = [word.casefold() for word in _WORD.findall(name)]
    labels = {_CLASSES[word] for word in words if word in _CLASSES}
    splits = {SPLITS[word] for word in words if word in SPLITS}
    known = all(word in _OTHERS or word in _CLASSES or word in SPLITS for word in words)
    if not known or len(labels) > 1 or len(splits) > 1:
        return None, ""
    return next(iter(labels), None), next(iter(splits), "")
