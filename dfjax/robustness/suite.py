"""All distortions by name, in groups."""

from collections.abc import Sequence

import numpy as np

from dfjax.errors import UserError
from dfjax.robustness import deeperforensics, real_world
from dfjax.robustness.distortion import LEVELS, Distortion, make_rng

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
        raise UserError(
            f"unknown level {', '.join(wrong)}: use some of {', '.join(map(str, LEVELS))}"
        )
    return sorted(set(levels))


def distort(
    frames: Sequence[np.ndarray], *, name: str, level: int, seed: int, record: str
) -> list[np.ndarray]:
    """Returns the frames of a record made worse, the same ones every time.

    Frames RGB uint8 [H, W, 3] of another size than the one before begin a clip of their own.
    """
    rng, distortion = make_rng(seed, name, level, record), _BY_NAME[name]
    distorted: list[np.ndarray] = []
    for clip in _of_one_size(frames):
        distorted += distortion(clip, level, rng)
    return distorted


def _of_one_size(frames: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    runs: list[list[np.ndarray]] = []
    for frame in frames:
        if not runs or runs[-1][0].shape != frame.shape:
            runs.append([])
        runs[-1].append(frame)
    return runs
