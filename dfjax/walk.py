"""The one walk through a tree of folders, for corpora and for what `dfjax predict` is given."""

import os
import pathlib
from collections.abc import Iterator

_MARKER = ".dfjax-output"  # in a folder that dfjax fills with pictures or videos of its own


def walk(folder: str | os.PathLike) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields each folder from `folder` down, with its subfolders' and files' names, sorted.

    Left out are hidden names and folders below `folder` that are marked as output. Links are
    followed, and a folder with several links is entered once.
    """
    entered: set[tuple[int, int]] = set()
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        place = status.st_dev, status.st_ino
        if place in entered or (entered and _MARKER in names):
            subfolders.clear()
            continue
        entered.add(place)
        subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
        yield parent, subfolders, sorted(name for name in names if name[0] != ".")


def mark_output(folder: str | os.PathLike) -> None:
    """Makes `folder`, if it is missing, and keeps `walk` from entering it."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
