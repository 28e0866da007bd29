"""What `dfjax predict` is given, to files: folders, patterns and lists."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from dfjax import lists, walk
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
NAMES_IN_NOTE = 5


def expand(sources: Sequence[str], skip: walk.Skip) -> Iterator[str]:
    """Yields the files that `sources` name, in order; one that is named twice comes twice.

    A source is a file, a folder (the pictures and videos below it, as `walk.walk` finds them, by
    their names or else by their first bytes), a pattern for `walk.match`, a .txt list with one path
    per line (relative to it; see `dfjax.lists`), or "-" for standard input. `skip` is called with
    the path and the reason of what is passed over.

    Raises:
      UserError: a list is none.
    """
    for source in sources:
        yield from _expand(source, skip)


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


def describe(skipped: Mapping[str, tuple[int, Sequence[str]]]) -> str:
    """Returns what is passed over in one line, "" for nothing.

    By reason, how many paths, and the first `NAMES_IN_NOTE` of them.
    """
    parts = []
    for reason, words in _SKIPPED.items():
        count, paths = skipped.get(reason, (0, ()))
        if count:
            names = [os.path.basename(path) for path in paths]
            parts.append(f"{count} {words} ({', '.join(names + ['…'] * (count > len(names)))})")
    return f"passed over: {', '.join(parts)}" if parts else ""
