"""Model cards, and decisions for them, that a test writes by hand."""

from typing import Any

from dfjax import model_card
from dfjax.faces.crop_spec import CropSpec


def make_decision(
    *limits: tuple[int, float, float, float], threshold: float = 0.5
) -> model_card.Decision:
    """A decision with these (frames, low, high, real_spread), of an error rate of 5 %."""
    rows = tuple(model_card.Limits(*each) for each in limits)
    return model_card.Decision(0.05, threshold, (0.0, 1.0), rows, {})


def make_threshold(threshold: float = 0.5) -> model_card.Decision:
    """A decision that leaves nothing undecided."""
    return make_decision((1, threshold, threshold, 1.0), threshold=threshold)


def make_card(**fields: Any) -> model_card.ModelCard:
    """A card of a model that there is not, with these fields."""
    usual = {
        "model_name": "m",
        "model_arguments": {},
        "image_size": 32,
        "crop_spec": CropSpec(),
        "decisions": {"frame": make_threshold()},
        "weights": "",
        "step": 0,
        "synthetic": False,
        "protocol": {},
    }
    return model_card.ModelCard(**{**usual, **fields})
