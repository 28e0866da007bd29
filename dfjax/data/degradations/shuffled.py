"""Smoothing, noise, resizing, JPEG and tone, each with a probability of its own, in any order."""

import dataclasses
import functools

from dfjax.data.degradations import codecs, noise, scale, smoothing, tone
from dfjax.data.degradations.dice import (
    FACTORS,
    QUALITIES,
    Bounds,
    Dice,
    Operation,
    require_bounds,
    require_probabilities,
)


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """Probabilities and bounds; each field's meaning stands in dfjax/config.py."""

    smooth: float
    smooth_sigma: Bounds
    grain: float
    grain_speckle: Bounds
    grain_photons: Bounds
    resize: float
    resize_down: Bounds
    resize_up: Bounds
    noise: float
    noise_sigma: Bounds
    strong_noise: float
    strong_noise_sigma: Bounds
    jpeg: float
    jpeg_quality: Bounds
    tone: float
    tone_change: Bounds

    def __post_init__(self):
        names = ("smooth", "grain", "resize", "noise", "strong_noise", "jpeg", "tone")
        values = {name: getattr(self, name) for name in names}
        require_probabilities("degrade.shuffled", **values)
        check = functools.partial(require_bounds, "degrade.shuffled")
        check(0.0001, 0.5, smooth_sigma=self.smooth_sigma)
        check(0, 1, grain_speckle=self.grain_speckle, tone_change=self.tone_change)
        check(1, 1e9, grain_photons=self.grain_photons)
        check(*FACTORS, resize_down=self.resize_down, resize_up=self.resize_up)
        check(0, 255, noise_sigma=self.noise_sigma, strong_noise_sigma=self.strong_noise_sigma)
        check(*QUALITIES, jpeg_quality=self.jpeg_quality)

    def draw(self, dice: Dice) -> list[Operation]:
        """Returns those that happen, in the order that was drawn."""
        draws = (
            (self.smooth, self.draw_smoothing),
            (self.grain, self.draw_grain),
            (self.resize, self.draw_scaling),
            (self.noise, self.draw_noise),
            (self.strong_noise, self.draw_strong_noise),
            (self.jpeg, self.draw_jpeg),
            (self.tone, self.draw_tone),
        )
        shuffled = (draws[i] for i in dice.rng.permutation(len(draws)))
        return [draw(dice) for probability, draw in shuffled if dice.happens(probability)]

    def draw_smoothing(self, dice: Dice) -> Operation:
        """Returns a blur."""
        return smoothing.draw_smoothing(dice, self.smooth_sigma)

    def draw_grain(self, dice: Dice) -> Operation:
        """Returns noise that grows with the light."""
        return noise.draw_grain(dice, self.grain_speckle, self.grain_photons)

    def draw_scaling(self, dice: Dice) -> Operation:
        """Returns a resize, down more often than up."""
        return scale.draw_scaling(dice, self.resize_down, self.resize_up)

    def draw_noise(self, dice: Dice) -> Operation:
        """Returns Gaussian noise."""
        return noise.draw_noise(dice, self.noise_sigma)

    def draw_strong_noise(self, dice: Dice) -> Operation:
        """Returns Gaussian noise that nobody overlooks."""
        return noise.draw_noise(dice, self.strong_noise_sigma)

    def draw_jpeg(self, dice: Dice) -> Operation:
        """Returns a pass through JPEG."""
        return codecs.recode("jpeg", dice.amount(self.jpeg_quality))

    def draw_tone(self, dice: Dice) -> Operation:
        """Returns a change of brightness or contrast."""
        return tone.draw_tone(dice, self.tone_change)
