"""The folders of FaceForensics++, of its compressions, and of the copies that others made."""

import dataclasses
import pathlib
import re
from collections.abc import Iterable

from dfjax.corpora import layout
from dfjax.errors import UserError

COMPRESSIONS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
"""The names of their folders."""

_IN_NAME = re.compile(r"(?<![a-z0-9])(c0|c23|c40)(?![a-z0-9])")


@dataclasses.dataclass(frozen=True)
class Tree:
    """Where clips of one kind may be, below the root.

    Attributes:
      official: the owners' folder; the compressions are below it.
      others: folders of other copies, also with the compressions below them.
      flat: folders of copies without a level for the compression.
    """

    official: str
    others: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()


def find(root: pathlib.Path, tree: Tree, compression: str) -> pathlib.Path | None:
    """Returns the folder with the clips of a tree in a compression; None if there is none.

    Raises:
      UserError: the compression is unknown, or the root's name is that of another.
    """
    levels = spellings_of(compression)
    places = [f"{name}/{level}" for name in (tree.official, *tree.others) for level in levels]
    if folder := layout.find_folder(root, *places):
        return folder
    flat = layout.find_folder(root, *tree.flat)
    if flat is None or any(_is_level(path.name) for path in layout.subfolders(flat)):
        return None
    named = _compression_of(root)
    if named and named not in levels:
        raise UserError(f"{root} is in {named}, not in {compression}: choose --compression {named}")
    return flat


def require(root: pathlib.Path, tree: Tree, compression: str) -> pathlib.Path:
    """Returns the folder of `find`.

    Raises:
      UserError: there is none; the message says in which compressions there is one.
    """
    folder = find(root, tree, compression)
    if folder is None:
        others = describe_others(root, tree)
        content = ", ".join(path.name for path in layout.subfolders(root)[:5]) or "no folder"
        raise UserError(
            f"{root} has no {tree.official} in {compression}: download it, or choose another "
            f"compression{others}; the folder holds {content}"
        )
    return folder


def describe_others(root: pathlib.Path, tree: Tree) -> str:
    """Returns a phrase that names the compressions that a tree is there in; "" if there is none."""
    there = [
        name
        for name, levels in COMPRESSIONS.items()
        if layout.find_folder(root, *(f"{tree.official}/{level}" for level in levels))
    ]
    return f" (there in {' and '.join(there)})" if there else ""


def warn_if_unnamed(
    corpus: str, root: pathlib.Path, folders: Iterable[pathlib.Path | None], compression: str
) -> None:
    """Warns about folders that do not say which compression they are in."""
    unnamed = [folder.name for folder in folders if folder and not _is_level(folder.name)]
    if not _compression_of(root):
        layout.warn(corpus, f"folders do not say that they are in {compression}", unnamed)


def spellings_of(compression: str) -> tuple[str, ...]:
    """Returns the names that the folder of a compression may have.

    Raises:
      UserError: it is unknown.
    """
    if compression not in COMPRESSIONS:
        raise UserError(f"compression {compression!r}: use {', '.join(COMPRESSIONS)}")
    return COMPRESSIONS[compression]


def _is_level(name: str) -> bool:
    return any(name.casefold() in levels for levels in COMPRESSIONS.values())


def _compression_of(root: pathlib.Path) -> str:
    """Returns the compression in the name of a folder, such as FaceForensics++_C23; "" if none."""
    named = _IN_NAME.search(root.resolve().name.casefold())
    return named[1] if named else ""
