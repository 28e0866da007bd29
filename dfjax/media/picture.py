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


def left_out(num_pictures: int) -> tuple[str, ...]:
    """Returns the warning that a file with so many pictures deserves: one or none."""
    if num_pictures <= 1:
        return ()
    return (
        f"the file holds {num_pictures} pictures: only the one that viewers show first was used",
    )
