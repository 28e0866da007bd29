"""How strongly and how often crops are changed."""

import dataclasses

from dfjax.errors import UserError

_PROBABILITIES = ("flip", "blur", "noise", "jpeg", "mixup", "cutout")
_LARGEST = {"rotate": 90.0, "zoom": 0.9, "shift": 1.0, "colour": 1.0}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Each field's meaning stands in dfjax/config.py; what is 0 is not computed.

    `blends` says whether there are pairs to blend at all.

    Raises:
      UserError: a probability is not in 0 to 1, or a limit is none.
    """

    flip: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    colour: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    mixup: float = 0.0
    cutout: float = 0.0
    blends: bool = False

    def __post_init__(self):
        for name in _PROBABILITIES:
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise UserError(f"augment.{name} is {value}: use a probability from 0 to 1")
        for name, largest in _LARGEST.items():
            if not 0 <= (value := getattr(self, name)) <= largest:
                raise UserError(f"augment.{name} is {value}: use a number from 0 to {largest:g}")

    @property
    def moves(self) -> bool:
        """Whether crops are warped."""
        return any((self.flip, self.rotate, self.zoom, self.shift))
