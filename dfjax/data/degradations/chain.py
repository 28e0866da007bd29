"""What a picture went through before: saved as JPEG and resized, again and again."""

import dataclasses

from dfjax.data.degradations import codecs, scale
from dfjax.data.degradations.dice import (
    FACTORS,
    QUALITIES,
    Bounds,
    Dice,
    Operation,
    require_bounds,
    require_probabilities,
)
from dfjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Chain:
    """Cycles of JPEG and a resize; each field's meaning stands in dfjax/config.py."""

    probability: float
    cycles: tuple[int, int]
    quality: Bounds
    size: Bounds

    def __post_init__(self):
        require_probabilities("degrade.chain", probability=self.probability)
        require_bounds("degrade.chain", *QUALITIES, quality=self.quality)
        require_bounds("degrade.chain", *FACTORS, size=self.size)
        require_bounds("degrade.chain", 1, 100, cycles=self.cycles)
        if self.cycles[0] > self.cycles[1]:
            raise UserError(f"degrade.chain.cycles is {self.cycles}: give the fewer first")

    def draw(self, dice: Dice) -> list[Operation]:
        """Returns the operations, none if there is no chain."""
        if not dice.happens(self.probability):
            return []
        operations, before = [], 1.0
        for _ in range(dice.rng.integers(*self.cycles, endpoint=True)):
            operations.append(codecs.recode("jpeg", dice.between(self.quality)))
            size = dice.between(self.size)
            operations.append(scale.scale_by(size / before, scale.draw_filter(dice)))
            before = size
        return operations
