"""Which crops a request may hold: checked before any array is made of them."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfjax.serve.errors import RequestError, bad_request


@dataclasses.dataclass(frozen=True)
class CropLimits:
    """The crops that one request may send.

    Attributes:
      size: side S of a crop in pixels.
      max_crops: the most of them.
    """

    size: int
    max_crops: int

    def check_count(self, count: int) -> None:
        """Raises RequestError if these are no crops (400) or too many (413)."""
        if not count:
            raise bad_request("there is no crop: send at least one")
        if count > self.max_crops:
            message = f"{count} crops: send {self.max_crops} at a time"
            raise RequestError(413, "too_large", message)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Raises RequestError unless `shape` is [N, S, S, 3] (400), N as in `check_count`."""
        side = self.size
        if len(shape) != 4 or list(shape[1:]) != [side, side, 3]:
            raise bad_request(f"shape {list(shape)}: send [N, {side}, {side}, 3]")
        self.check_count(shape[0])


def from_flat_list(data: list[Any], shape: Sequence[int]) -> np.ndarray:
    """Returns a list of whole numbers 0 to 255 as uint8 of `shape`, or raises RequestError."""
    if len(data) != math.prod(shape):
        raise bad_request(f"{len(data)} numbers for shape {list(shape)}: send {math.prod(shape)}")
    # Numbers in 0..1 are refused: a client that sends them means another scale.
    if not all(type(number) is int and 0 <= number <= 255 for number in data):
        raise bad_request("pixels are whole numbers from 0 to 255: send uint8")
    return np.frombuffer(bytes(data), np.uint8).reshape(shape)


def from_lists(data: Any, shape: Sequence[int]) -> np.ndarray:
    """Returns lists nested as `shape`, as `from_flat_list` does; raises RequestError."""
    level = [data]
    for size in shape:
        if not all(type(row) is list and len(row) == size for row in level):
            raise bad_request(f"the lists are not nested as shape {list(shape)}")
        level = list(itertools.chain.from_iterable(level))
    return from_flat_list(level, shape)
