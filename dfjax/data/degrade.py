"""Stored crops made worse before a network learns from them, as the world makes pictures worse.

First a chain of JPEG at several sizes, then operations in random order (after BSRGAN, Zhang et al.,
ICCV 2021, and its use for detectors, NTIRE 2026, arXiv 2604.25889), last the codec of the place
where a picture or a film is published (after OpenFake, arXiv 2509.09495; films after NtechLab's
entry to the DeepFake Detection Challenge). The ranges in dfjax/config.py are narrower than theirs,
which are for larger pictures than crops of 112 to 256 pixels.

All images of a call are treated alike, so a fake and the real next to it differ by the forgery
alone. Images keep their sizes.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.data.degradations import scale
from dfjax.data.degradations.chain import Chain
from dfjax.data.degradations.dice import Dice, Operation, require_probabilities
from dfjax.data.degradations.publication import Publication
from dfjax.data.degradations.shuffled import Shuffled
from dfjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Degrade:
    """What crops go through; each field's meaning stands in dfjax/config.py.

    Attributes:
      probability: of a call that changes anything; 0 is off.
      strength: (a, b) of Beta(a, b), which a call's strength is drawn from.
      chain, shuffled, publication: the fields of `Chain`, `Shuffled` and `Publication`.

    Raises:
      UserError: a probability is not in 0 to 1, those of the publication exceed 1 together, or
        bounds are none.
    """

    probability: float
    strength: tuple[float, float]
    chain: Mapping[str, Any]
    shuffled: Mapping[str, Any]
    publication: Mapping[str, Any]

    def __post_init__(self):
        require_probabilities("degrade", probability=self.probability)
        if len(self.strength) != 2 or not all(value > 0 for value in self.strength):
            raise UserError(
                f"degrade.strength is {self.strength}: use two numbers above 0, (a, b) of Beta"
            )
        self._stages()

    def __call__(self, images: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        """Returns images RGB uint8 [H, W, 3] after one draw for all, or as they are."""
        if not self.probability or rng.random() >= self.probability:
            return list(images)
        passages = self.draw(rng)
        return [functools.reduce(lambda x, passage: passage(x), passages, each) for each in images]

    def draw(self, rng: np.random.Generator) -> list[Operation]:
        """Returns what the images of one call go through; each returns images of the same size."""
        dice = Dice(rng, strength=float(rng.beta(*self.strength)))
        parts = [stage.draw(dice) for stage in self._stages()]
        return [scale.keep_size(part, scale.draw_filter(dice)) for part in parts if part]

    def _stages(self) -> tuple[Chain, Shuffled, Publication]:
        return Chain(**self.chain), Shuffled(**self.shuffled), Publication(**self.publication)
