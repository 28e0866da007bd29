"""The nearest neighbor of each clip among the crops of earlier groups, by brute force in blocks."""

import itertools
import math
from collections.abc import Callable, Container

import numpy as np

from dfjax import progress

_BLOCK = 2048  # rows compared at a time

Match = tuple[float, int, int, int]
"""(squared distance, earlier row, later row, view of the later row)."""


def nearest_before(
    group: np.ndarray,
    clip: np.ndarray,
    vectors: Callable[[slice], np.ndarray],
    *,
    limit: float,
    known: Container[int],
) -> dict[int, Match]:
    """Returns the closest match of each clip in an earlier group, by clip.

    Crop n is of the group `group[n]`, in rising order, and of the clip `clip[n]`. `vectors` returns
    those of a slice of the crops, float32 [V, N, D]: view 0 is the crops as they are; the other
    views are compared with view 0 of the earlier crops. Matches with a squared distance over
    `limit` are left out, and so are the clips in `known`.
    """
    matches: dict[int, Match] = {}
    with progress.Progress("comparing", len(group), unit="records") as bar:
        for start, end in itertools.pairwise(_bounds(group)):
            for low in range(start, end, _BLOCK):
                block = slice(low, min(low + _BLOCK, end))
                for match in _matches_before(start, block, vectors, limit):
                    number = int(clip[match[2]])
                    if number not in known and match < matches.get(number, (math.inf,)):
                        matches[number] = match
                bar.update(block.stop)
    return matches


def _bounds(group: np.ndarray) -> np.ndarray:
    """Where the first group begins, where the next do, and where the last ends."""
    return np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))


def _matches_before(
    end: int, block: slice, vectors: Callable[[slice], np.ndarray], limit: float
) -> list[Match]:
    """The closest of the first `end` crops to each view in the block, if it is near enough."""
    views = vectors(block)
    squared, earlier = _closest(end, vectors, np.concatenate(views))
    matches = []
    for query in np.flatnonzero(squared <= limit):
        view, row = divmod(int(query), views.shape[1])
        matches.append((float(squared[query]), int(earlier[query]), block.start + row, view))
    return matches


def _closest(
    end: int, vectors: Callable[[slice], np.ndarray], queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(squared distance, row) of the closest of the first `end` crops to each query."""
    squared = np.full(len(queries), np.inf, np.float32)
    row = np.zeros(len(queries), np.int64)
    lengths = (queries**2).sum(1)
    for first in range(0, end, _BLOCK):
        block = vectors(slice(first, min(first + _BLOCK, end)))[0]
        distances = (block**2).sum(1)[:, None] + lengths - 2 * (block @ queries.T)
        closest = distances.argmin(0)
        distance = distances[closest, np.arange(len(queries))]
        closer = distance < squared
        squared[closer], row[closer] = distance[closer], first + closest[closer]
    return squared, row
