"""What of a model card a new evaluation keeps, and what it changes."""

import dataclasses

from dfjax.model_card import ModelCard

DEFAULT_ERROR_RATE = 0.05


def error_rate(card: ModelCard | None) -> float:
    """Returns the error rate that a card was fitted to; None: the usual one."""
    return DEFAULT_ERROR_RATE if card is None else card.decisions["frame"].error_rate


def describe(before: ModelCard, after: ModelCard) -> str:
    """Returns what of a model card a new evaluation changed."""
    changed = [
        field.name
        for field in dataclasses.fields(ModelCard)
        if getattr(before, field.name) != getattr(after, field.name)
    ]
    rates = error_rate(before), error_rate(after)
    rate = f" (error rate {rates[0]:g} before, {rates[1]:g} now)" if rates[0] != rates[1] else ""
    return (
        f"the model card changed in {', '.join(changed)}{rate}: what predict and serve decide "
        "changes with it; export the run again"
    )
