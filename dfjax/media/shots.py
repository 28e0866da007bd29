"""Shots of a film: what lies between its hard cuts.

A cut shows as a difference between successive frames that stands out from those around it, in small
copies of the frames. Movement changes many frames in a row, and a flash changes the picture twice:
neither is a cut. Dissolves and fades are none either.
"""

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

WIDTH, HEIGHT = 64, 36  # pixels of the copies, whatever the shape of the film

_LEAST = 8.0  # mean difference, of 255, that a cut makes at least
_TIMES = 2.5  # so many times the differences around it
_AROUND = 2  # frames to each side
_FLASH = 0.6  # seconds after which what was seen before is seen again


@dataclasses.dataclass(frozen=True)
class Shot:
    """A shot.

    Attributes:
      first, stop: the numbers of its first frame and of the one behind its last, among the frames
        that decode.
      start, end: when it begins and ends, in seconds from the first frame of the film.
    """

    first: int
    stop: int
    start: float
    end: float

    def __len__(self) -> int:
        return self.stop - self.first


class ShotFinder:
    """Finds the shots of a film whose frames are added one by one."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._differences: list[float] = []  # of each frame from the one before
        self._copies: collections.deque[np.ndarray] = collections.deque(maxlen=_AROUND + 2)
        self._cuts: list[_Cut] = []

    def add(self, copy: np.ndarray, time: float) -> None:
        """Adds the next frame: its copy, uint8 [HEIGHT, WIDTH, 3], and its time in seconds."""
        before = self._copies[-1] if self._copies else copy
        self._copies.append(copy)
        self._times.append(time)
        self._differences.append(_difference(copy, before))
        if len(self._times) > _AROUND:
            self._look_at(len(self._times) - 1 - _AROUND)

    def shots(self, end: float) -> tuple[Shot, ...]:
        """Returns the shots in order; the last one ends at `end` seconds. Call it once, at last."""
        count = len(self._times)
        for _ in range(min(_AROUND, count)):  # the last frames have none behind them
            self._copies.append(self._copies[-1])
            self._differences.append(0.0)
            self._look_at(len(self._differences) - 1 - _AROUND)
        borders = [0, *(cut.frame for cut in self._cuts), count]
        times = [*self._times, max(end, self._times[-1])] if count else []
        return tuple(
            Shot(first, stop, times[first], times[stop])
            for first, stop in itertools.pairwise(borders)
            if stop > first
        )

    def _look_at(self, frame: int) -> None:
        """Decides whether a shot begins at a frame; those around it are known."""
        around = [
            self._differences[other]
            for other in range(max(0, frame - _AROUND), frame + _AROUND + 1)
            if other != frame
        ]
        if self._differences[frame] < max(_LEAST, _TIMES * max(around)):
            return
        cut = _Cut(frame, self._times[frame], self._copies[0], self._copies[1])
        if self._cuts and self._is_flash(self._cuts[-1], cut):
            self._cuts.pop()
        else:
            self._cuts.append(cut)

    def _is_flash(self, begin: "_Cut", end: "_Cut") -> bool:
        is_short = end.time - begin.time < _FLASH
        return is_short and _difference(begin.before, end.after) < _LEAST


@dataclasses.dataclass(frozen=True)
class _Cut:
    frame: int
    time: float
    before: np.ndarray
    after: np.ndarray


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())


def number_of(shots: Sequence[Shot], frame: int) -> int:
    """Returns the number of the shot that a frame is in, from 0; 0 without shots."""
    return max(0, bisect.bisect_right([shot.first for shot in shots], frame) - 1)


def spread(shots: Sequence[Shot], num_frames: int, *, at_least: int) -> list[int]:
    """Returns the numbers of `num_frames` frames, spread over the shots.

    Each shot gets `at_least` frames, or all that it has, and more by its length. If there are more
    shots than that allows, the longest get theirs and the others none.
    """
    places = max(1, num_frames // at_least)
    chosen = sorted(sorted(range(len(shots)), key=lambda i: (-len(shots[i]), i))[:places])
    counts = {i: min(at_least, len(shots[i]), num_frames) for i in chosen}
    for _ in range(num_frames - sum(counts.values())):
        # The next one goes where frames lie furthest apart (D'Hondt).
        open_shots = [i for i in chosen if counts[i] < len(shots[i])]
        if not open_shots:
            break
        counts[max(open_shots, key=lambda i: (len(shots[i]) / (counts[i] + 1), -i))] += 1
    return [
        shots[i].first + int(position)
        for i in chosen
        for position in np.linspace(0, len(shots[i]) - 1, counts[i], dtype=int)
    ]
