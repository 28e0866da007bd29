"""The one walk through a tree of folders, for corpora and for what `dfjax predict` is given."""

import fnmatch
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

_MARKER = ".dfjax-output"  # in a folder that dfjax fills with pictures or videos of its own

# Why something is left out.
HIDDEN, OUTPUT, UNREADABLE = "hidden", "output", "unreadable"

Skip = Callable[[str, str], None]


def _in_silence(path: str, reason: str) -> None:
    del path, reason


def walk(
    folder: str | os.PathLike, skip: Skip = _in_silence
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields each folder from `folder` down, with its subfolders' and files' names, sorted.

    Left out are hidden names, and folders that cannot be read or, below `folder`, are marked as
    output: `skip` is called with the path and the reason of each. Links are followed, and a folder
    with several links is entered once.
    """
    entered: set[tuple[int, int]] = set()
    for parent, subfolders, names in os.walk(
        folder,
        onerror=lambda error: skip(os.fspath(error.filename), UNREADABLE),
        followlinks=True,
    ):
        place, marked = _place(parent), bool(entered) and _MARKER in names
        if place is None or marked:
            skip(parent, OUTPUT if marked else UNREADABLE)
        if place is None or marked or place in entered:
            subfolders.clear()
            continue
        entered.add(place)
        for name in filter(_is_hidden, subfolders + names):
            skip(os.path.join(parent, name), HIDDEN)
        subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name))
        yield parent, subfolders, sorted(name for name in names if not _is_hidden(name))


def match(pattern: str, skip: Skip = _in_silence) -> Iterator[str]:
    """Yields the paths that a pattern names, sorted: "*", "?" and "[ab]" as in a shell.

    "**" stands for a folder and all below it, as `walk` sees them. A part that exists as it is
    written is no pattern: a folder may be called "Talk [x1]". Hidden names match only a part that
    begins with a dot.
    """
    yield from _match(pathlib.Path(), pathlib.Path(pattern).parts, skip)


def mark_output(folder: str | os.PathLike) -> None:
    """Makes `folder`, if it is missing, and keeps `walk` from entering it."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()


def _match(folder: pathlib.Path, parts: Sequence[str], skip: Skip) -> Iterator[str]:
    if not parts:
        yield str(folder)
        return
    first, *rest = parts
    if first == "**" and rest:
        for parent, _, _ in walk(folder, skip):
            yield from _match(pathlib.Path(parent), rest, skip)
    elif first == "**":
        yield str(folder)
    elif os.path.lexists(folder / first):
        yield from _match(folder / first, rest, skip)
    else:
        for name in sorted(fnmatch.filter(_names(folder), first)):
            if not _is_hidden(name) or _is_hidden(first):
                yield from _match(folder / name, rest, skip)


def _names(folder: pathlib.Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # it is a file, or cannot be read
        return []


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _place(folder: str) -> tuple[int, int] | None:
    """What tells a folder from all others, whatever links lead to it; None: it is gone."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
