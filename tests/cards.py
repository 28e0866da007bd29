"""Decisions for model cards that a test writes by hand."""

from dfjax import model_card


def make_decision(
    *limits: tuple[int, float, float, float], threshold: float = 0.5
) -> model_card.Decision:
    """A decision with these (frames, low, high, real_spread), of an error rate of 5 %."""
    rows = tuple(model_card.Limits(*each) for each in limits)
    return model_card.Decision(0.05, threshold, (0.0, 1.0), rows, {})


def make_threshold(threshold: float = 0.5) -> model_card.Decision:
    """A decision that leaves nothing undecided."""
    return make_decision((1, threshold, threshold, 1.0), threshold=threshold)
