"""All distortions by name, in groups."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from dfjax.distortions import deeperforensics, real_world
from dfjax.distortions.distortion import LEVELS, Distortion, make_rng
from dfjax.errors import UserError

GROUPS = {
    "deeperforensics": deeperforensics.DISTORTIONS,
    "real_world": real_world.DISTORTIONS,
}
"""What a name of a group stands for; what is in none has to be named itself."""

_BY_NAME = {
    each.name: each
    for each in (*deeperforensics.DISTORTIONS, *real_world.DISTORTIONS, deeperforensics.BY_AREA)
}


def choose(names: Sequence[str]) -> list[Distortion]:
    """Returns the distortions of these names, or of these groups, each once.

    Raises:
      UserError: there is no distortion and no group of a name.
    """
    if unknown := [name for name in names if name not in GROUPS and name not in _BY_NAME]:
        raise UserError(
            f"unknown type {', '.join(unknown)}: use {', '.join(GROUPS)}, or some of "
            f"{', '.join(_BY_NAME)}"
        )
    chosen = [GROUPS.get(name) or (_BY_NAME[name],) for name in names]
    return list(dict.fromkeys(each for group in chosen for each in group))


def require_levels(levels: Sequence[int]) -> list[int]:
    """Returns the levels in rising order, each once.

    Raises:
      UserError: one is not 1 to 5.
    """
    if wrong := [str(level) for level in levels if level not in LEVELS]:
        raise UserError(f"unknown level {', '.join(wrong)}: use {LEVELS[0]} to {LEVELS[-1]}")
    return sorted(set(levels))


@dataclasses.dataclass(frozen=True)
class Condition:
    """A distortion at a level, of which equal seeds draw the same; `str` names it in paths.

    Attributes:
      name: of the distortion; "clean" at level 0.
      level: 1 to 5, or 0: pictures stay as they are.
      seed: of what is random.
    """

    name: str = "clean"
    level: int = 0
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.name}-{self.level}"

    def distort(self, frames: Sequence[np.ndarray], record: str) -> list[np.ndarray]:
        """Returns the frames of a record made worse, the same ones every time.

        Frames RGB uint8 [H, W, 3] of another size than those before begin a film of their own.
        """
        if not self.level:
            return list(frames)
        rng = make_rng(self.seed, self.name, self.level, record)
        films = [_BY_NAME[self.name](film, self.level, rng) for film in _films(frames)]
        return [frame for film in films for frame in film]

    def distort_crops(self, crops: Sequence[np.ndarray], record: str) -> list[np.ndarray]:
        """Returns what `distort` does, scaled to the size [S, S] that crops have."""
        distorted = zip(self.distort(crops, record), crops, strict=True)
        return [_resized(image, crop.shape[1::-1]) for image, crop in distorted]


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at a size (width, height), which few distortions change."""
    if image.shape[1::-1] == size:
        return image
    shrinks = image.shape[1] > size[0]
    resampling = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR  # as `align.resize_crop`
    return cv2.resize(image, size, interpolation=resampling)


def _films(frames: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Runs of frames of one size."""
    for _, film in itertools.groupby(frames, key=lambda frame: frame.shape):
        yield list(film)
