"""What a distortion is: a function of frames, of one of five levels, and of a random generator."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LEVELS = (1, 2, 3, 4, 5)

# Both take a parameter of a level: of one picture RGB uint8 [H, W, 3], or of the frames of a clip.
OfPicture = Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
OfClip = Callable[[Sequence[np.ndarray], Any, np.random.Generator], list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Distortion:
    """One way in which pictures get worse.

    Attributes:
      name: as it is chosen by.
      unit: what its parameters are, in words.
      parameters: of the levels 1 to 5, plain JSON.
      of_clip: makes the frames of a clip worse, as a parameter says.
    """

    name: str
    unit: str
    parameters: tuple[Any, ...]
    of_clip: OfClip

    def __call__(
        self, frames: Sequence[np.ndarray], level: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Returns frames of a clip, RGB uint8 [H, W, 3] in order, made worse at a level, 1 to 5.

        The given frames stay as they are. Few distortions change the size of a frame.
        """
        return self.of_clip(frames, self.parameter(level), rng)

    def parameter(self, level: int) -> Any:
        """Returns the parameter of a level, 1 to 5."""
        return self.parameters[level - 1]


def of_picture(function: OfPicture) -> OfClip:
    """Returns what makes each frame of a clip worse on its own."""
    return lambda frames, parameter, rng: [function(each, parameter, rng) for each in frames]


def make_rng(seed: int, name: str, level: int, record: str) -> np.random.Generator:
    """Returns the generator of one record, the same whatever was distorted before it.

    A record is a clip, or a face in the stored crops of one.
    """
    text = f"{seed}/{name}/{level}/{record}"
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))
