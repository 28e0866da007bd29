"""What `dfjax predict` is given, to files: folders, patterns and lists."""

import logging
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from dfjax import lists, walk
from dfjax.errors import UserError
from dfjax.media import kind, suffix
from dfjax.media.errors import MediaError

STDIN = "-"

_LIST_SUFFIX = ".txt"
_NO_MEDIA = "no media"
_SKIPPED = {  # in the words of the note
    _NO_MEDIA: "of no accepted kind",
    walk.HIDDEN: "hidden",
    walk.OUTPUT: "with what dfjax wrote",
    walk.UNREADABLE: "unreadable",
}
_MAX_NAMES = 5  # in a note

_LOGGER = logging.getLogger("dfjax.inference")


def expand(sources: Sequence[str]) -> list[str]:
    """Returns the files that `sources` name, each once, in order.

    A source is a file, a folder (the pictures and videos below it, as `walk.walk` finds them, by
    their names or else by their first bytes), a pattern for `walk.match`, a .txt list with one path
    per line (relative to it; see `dfjax.lists`), or "-" for standard input. What is passed over is
    counted in one warning of the logger "dfjax.inference".

    Raises:
      UserError: the sources name no file, or a list is none.
    """
    skipped: dict[str, str] = {}
    found = [path for source in sources for path in _expand(source, skipped.__setitem__)]
    note = _describe(skipped)
    if not found:
        raise UserError(
            f"no file in {', '.join(sources)}: give pictures or videos{note and f' ({note})'}"
        )
    if note:
        _LOGGER.warning("%s", note)
    unique: dict[str, str] = {}
    for path in found:
        unique.setdefault(os.path.abspath(path), path)
    return list(unique.values())


def _expand(source: str, skip: walk.Skip) -> Iterator[str]:
    if source == STDIN:
        yield source
    elif _is_list(source):
        folder = pathlib.Path(source).parent
        finder = lists.Finder(folder)
        for _, text in lists.read_lines(source):
            yield from _files_at(str(folder / finder.find(text)), skip)
    elif os.path.lexists(source):
        yield from _files_at(source, skip)
    else:
        matches = list(walk.match(source, skip)) or [source]  # a missing file gets its row
        for path in matches:
            yield from _files_at(path, skip)


def _is_list(source: str) -> bool:
    """Returns whether a file is a list; a picture or a video is none, whatever its name."""
    if not source.lower().endswith(_LIST_SUFFIX) or not os.path.isfile(source):
        return False
    return not _begins_like_media(source)


def _files_at(path: str, skip: walk.Skip) -> Iterator[str]:
    """Yields the pictures and videos below a folder; a file is itself, whatever it is."""
    if not os.path.isdir(path):
        yield path
        return
    for parent, _, names in walk.walk(path, skip):
        for file in (os.path.join(parent, name) for name in names):
            if _is_media(file):
                yield file
            else:
                skip(file, _NO_MEDIA)


def _is_media(path: str) -> bool:
    return suffix.is_image(path) or suffix.is_video(path) or _begins_like_media(path)


def _begins_like_media(path: str) -> bool:
    try:
        kind.kind_of(path)
    except MediaError:
        return False
    return True


def _describe(skipped: Mapping[str, str]) -> str:
    """What is passed over, by path and reason, in one line; "" for nothing."""
    names: dict[str, list[str]] = {reason: [] for reason in _SKIPPED}
    for path, reason in skipped.items():
        names[reason].append(os.path.basename(path))
    parts = [
        f"{len(some)} {_SKIPPED[reason]} ({_shorten(some)})"
        for reason, some in names.items()
        if some
    ]
    return f"passed over: {', '.join(parts)}" if parts else ""


def _shorten(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MAX_NAMES], "…"] if len(names) > _MAX_NAMES else names)
