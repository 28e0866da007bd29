"""Finds the frames that a label file lists, on another machine than the one that wrote it."""

import collections
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from dfjax.corpora import layout
from dfjax.errors import UserError


class ListedFrames:
    """Finds listed frames below some folders; each folder with frames is listed once."""

    def __init__(self, bases: Sequence[pathlib.Path]):
        """`bases` are the folders that paths may start at, the likeliest first."""
        self._bases = [os.fspath(base) for base in bases]
        self._place = functools.lru_cache(maxsize=None)(self._find_place)
        self._pictures = functools.lru_cache(maxsize=256)(
            lambda place: frozenset(path.name for path in layout.list_pictures(place))
        )

    def find(self, frames: Any, where: str) -> tuple[list[str], bool]:
        """Returns the folder of all `frames`, or else those that exist; and whether all exist.

        Raises:
          UserError: a path leads up from a folder; `where` is its place, for the message.
        """
        by_folder = collections.defaultdict(set)
        for frame in frames if isinstance(frames, list) else [frames]:
            text = str(frame).replace("\\", "/")
            folder, _, name = text.rpartition("/")
            if "\0" in text or (".." in text and ".." in text.split("/")):
                raise UserError(
                    f"{where} has the frame {frame!r}: paths must lead down from a folder"
                )
            by_folder[folder].add(name)
        paths, is_complete = [], bool(by_folder)
        for folder, names in by_folder.items():
            place = self._place(folder)
            pictures = self._pictures(place) if place else frozenset()
            is_complete = is_complete and names <= pictures
            if len(by_folder) == 1 and pictures and pictures <= names:
                return [place], is_complete
            paths += [f"{place}/{name}" for name in sorted(names & pictures)]
        return paths, is_complete

    def _find_place(self, folder: str) -> str | None:
        """Returns the folder below a base, without leading parts that do not exist.

        Two parts must remain, because the name of a video alone may occur in several places.
        """
        parts = [part for part in folder.split("/") if part not in ("", ".")]
        for skipped in range(max(1, len(parts) - 1)):
            for base in self._bases:
                place = "/".join((base, *parts[skipped:]))
                if os.path.isdir(place):
                    return place
        return None
