"""What comes of a file with a picture in it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
      image: RGB uint8 [H, W, 3], upright, in the colors of an sRGB screen.
      warnings: what to know of the file, as sentences without a capital and a full stop.
    """

    image: np.ndarray
    warnings: tuple[str, ...] = ()


def left_out(num_pictures: int, *, more: bool = False) -> tuple[str, ...]:
    """Returns the warning that a file with so many pictures, or `more`, deserves: one or none."""
    if num_pictures <= 1:
        return ()
    count = f"more than {num_pictures}" if more else str(num_pictures)
    return (f"the file holds {count} pictures: only the first one, which viewers show, was used",)
