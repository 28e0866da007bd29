"""The model card that follows from the scores of a validation split."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from dfjax.evaluators import frame, verdicts
from dfjax.evaluators.run_gate import Gate
from dfjax.familiarity import fit
from dfjax.metrics import calibration, isotonic
from dfjax.model_card import Isotonic, ModelCard, QualityLimits
from dfjax.run import Run


def quality_limits(run: Run) -> QualityLimits:
    """Returns the usual limits; for pictures taken as they are, as small as training had them."""
    limits = QualityLimits()
    if run.crop_spec.crops == "align":
        return limits
    largest = float(run.dataset.column(run.config.data.train_split, "scale").max())
    return dataclasses.replace(limits, max_enlargement=max(limits.max_enlargement, largest))


def fit_card(
    scores: frame.Scores,
    *,
    error_rate: float,
    quality: QualityLimits,
    gate: Gate | None,
    pooling: str = "mean",
    further: Sequence[tuple[frame.Scores, float]] = (),
    **fields: Any,
) -> ModelCard:
    """Returns the card of a model with these validation scores; `fields` are others of it.

    `further` are scores of held-out faces of other datasets, and how much they count where the
    first count 1: for the limit of the gate alone. That limit comes first: what it refuses does
    not count for the decisions on files.
    """
    if gate is not None:
        beside = [(each.strangeness, weight) for each, weight in further]
        gate = gate.held_out(len(scores) + sum(len(each) for each, _ in further))
        limit = fit.limit(scores.strangeness, beside)
        quality = dataclasses.replace(quality, max_strangeness=limit)
    temperature = calibration.fit_temperature(scores.label, scores.logit)
    scores = dataclasses.replace(scores, temperature=temperature, pooling=pooling)
    decisions = verdicts.fit_decisions(
        scores, quality, error_rate=error_rate, min_video_frames=ModelCard.min_video_frames
    )
    points = (each.tolist() for each in isotonic.fit(scores.label, scores.score))
    return ModelCard(
        decisions=decisions,
        temperature=temperature,
        pooling=pooling,
        quality=quality,
        embedding=gate and gate.embedding,
        isotonic=Isotonic(*map(tuple, points)),
        **fields,
    )
