"""What the place does where a picture or a film is published: the last codec of all, or none."""

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

PLACES = ("jpeg", "twice", "webp", "avif", "shrink", "film")


@dataclasses.dataclass(frozen=True)
class Publication:
    """Probabilities, one place at most, and bounds; their meaning stands in dfjax/config.py."""

    jpeg: float
    jpeg_quality: Bounds
    twice: float
    twice_quality: Bounds
    webp: float
    webp_quality: Bounds
    avif: float
    avif_quality: Bounds
    shrink: float
    shrink_size: Bounds
    shrink_quality: Bounds
    film: float
    film_crf: Bounds
    film_motion: float

    def __post_init__(self):
        shares = {name: getattr(self, name) for name in PLACES}
        require_probabilities("degrade.publication", **shares)
        if sum(shares.values()) > 1 + 1e-9:
            raise UserError(
                f"degrade.publication: {', '.join(PLACES)} have probabilities of "
                f"{sum(shares.values()):g} together: use 1 at most"
            )

        names = [f"{place}_quality" for place in ("jpeg", "twice", "webp", "avif", "shrink")]
        qualities = {name: getattr(self, name) for name in names}
        require_bounds("degrade.publication", *QUALITIES, **qualities)
        require_bounds("degrade.publication", *FACTORS, shrink_size=self.shrink_size)
        require_bounds("degrade.publication", 0, 51, film_crf=self.film_crf)

    def draw(self, dice: Dice) -> list[Operation]:
        """Returns the operations of one place, none if it leaves files as they are."""
        places = (
            (self.jpeg, lambda: [_recode(dice, "jpeg", self.jpeg_quality)]),
            (self.twice, lambda: [_recode(dice, "jpeg", self.twice_quality) for _ in range(2)]),
            (self.webp, lambda: [_recode(dice, "webp", self.webp_quality)]),
            (self.avif, lambda: [_recode(dice, "avif", self.avif_quality)]),
            (self.shrink, lambda: self._shrink(dice)),
            (self.film, lambda: [codecs.draw_film(dice, self.film_crf, self.film_motion)]),
        )
        left = dice.rng.random()
        for probability, draw in places:
            if left < probability:
                return draw()
            left -= probability
        return []

    def _shrink(self, dice: Dice) -> list[Operation]:
        """A largest size, then JPEG."""
        scaling = scale.scale_by(dice.between(self.shrink_size), scale.draw_filter(dice))
        return [scaling, _recode(dice, "jpeg", self.shrink_quality)]


def _recode(dice: Dice, codec: str, quality: Bounds) -> Operation:
    return codecs.recode(codec, dice.between(quality))
