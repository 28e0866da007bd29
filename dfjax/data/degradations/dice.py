"""What is drawn of a degradation, and what is then done."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dfjax.errors import UserError

# From RGB uint8 [H, W, 3] to RGB uint8 of the same or another size; equal images, equal results.
Operation = Callable[[np.ndarray], np.ndarray]
Bounds = tuple[float, float]

# What bounds may be: of an encoder's quality, and of a factor of the side.
QUALITIES = (0, 100)
FACTORS = (0.05, 4)


@dataclasses.dataclass(frozen=True)
class Dice:
    """A random generator, and how far it goes.

    Attributes:
      rng: what everything is drawn from.
      strength: 0 to 1, the share of the way from the mildest to the worst that `amount` may go.
    """

    rng: np.random.Generator
    strength: float

    def happens(self, probability: float) -> bool:
        """Returns True with this probability."""
        return bool(self.rng.random() < probability)

    def between(self, bounds: Bounds) -> float:
        """Returns a number between two, each as likely."""
        return float(self.rng.uniform(*bounds))

    def amount(self, bounds: Bounds) -> float:
        """Returns a number from the mildest (first) to as near to the worst as `strength` lets."""
        mildest, worst = bounds
        return float(mildest + (worst - mildest) * self.strength * self.rng.random())

    def choose(self, options: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
        """Returns one of the options; weights are their probabilities, equal ones if None."""
        return options[self.rng.choice(len(options), p=weights)]

    def seed(self) -> int:
        """Returns what an operation makes a generator of, the same one for each image."""
        return int(self.rng.integers(2**63))


def require_probabilities(group: str, **probabilities: float) -> None:
    """Checks fields of a group of the config.

    Raises:
      UserError: one is not in 0 to 1.
    """
    for name, value in probabilities.items():
        if not 0 <= value <= 1:
            raise UserError(f"{group}.{name} is {value}: use a probability from 0 to 1")


def require_bounds(group: str, lowest: float, highest: float, **bounds: Bounds) -> None:
    """Checks fields of a group of the config that bound what is drawn.

    Raises:
      UserError: one is not two numbers from `lowest` to `highest`.
    """
    for name, values in bounds.items():
        if len(values) != 2 or not all(lowest <= value <= highest for value in values):
            raise UserError(
                f"{group}.{name} is {values}: use two numbers from {lowest:g} to {highest:g}"
            )
