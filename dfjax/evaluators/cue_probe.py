"""What trivial cues reach on the crops that a model is scored on."""

from collections.abc import Callable
from typing import Any, TypeAlias

from dfjax.evaluators import frame, trivial_cues
from dfjax.evaluators.eval_target import EvalTarget

# From a target and its scores to the AUCs of the trivial cues and of the model.
Probe: TypeAlias = Callable[[EvalTarget, frame.Scores], dict[str, Any]]


def fit(training: EvalTarget, limit: int) -> Probe | None:
    """Returns what compares a model with trivial cues on the same crops, at most `limit`.

    It learns from as many crops of the run's own training split; None: a class is missing there, or
    `limit` is 0.
    """
    if not limit or not training.has_both_classes:
        return None
    learned = _read(training, limit)
    probes = trivial_cues.fit(learned.features, learned.label)

    def probe(target: EvalTarget, scores: frame.Scores) -> dict[str, Any]:
        crops = _read(target, limit)
        by_name = {**probes.scores(crops.features), "model": scores.score[crops.row]}
        aucs = {name: crops.aucs(score) for name, score in by_name.items()}
        return {"crops": len(crops), "of": len(scores), "auc": aucs}

    return probe


def _read(target: EvalTarget, limit: int) -> trivial_cues.Crops:
    records = target.records
    return trivial_cues.read(records, limit, records.labels)
