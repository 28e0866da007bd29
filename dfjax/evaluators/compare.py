"""Two models on the same clips: is the difference of their metrics more than chance?

A clip has one score, by `Clips.scores`; of a picture, the largest of its faces. Clips without a
face in either table are left out of both.
"""

import dataclasses
from typing import Any

import numpy as np

from dfjax.errors import UserError
from dfjax.evaluators import levels, video
from dfjax.evaluators.score_table import ScoreTable
from dfjax.metrics import bootstrap, calibration, delong, inputs, measures, ranking
from dfjax.metrics.measures import EVERYTHING, Sample

METRICS = (*ranking.NAMES, *calibration.NAMES)

_FORMAT = 1


def compare(a: ScoreTable, b: ScoreTable, draws: int = bootstrap.DRAWS) -> dict[str, Any]:
    """Returns each metric of both tables and of their difference, b - a, as JSON.

    Intervals are those of a paired bootstrap: both models are resampled alike. `p_value` of a
    metric is the two-sided one of that bootstrap, `delong` that of DeLong's test of the AUCs.

    Raises:
      UserError: the tables hold other clips or labels, and the message says how many; or no clip of
        one class shows a face in both.
    """
    _require_same_clips(a, b)
    both = _with_face(a) & _with_face(b)
    resampled, cluster = levels.clusters(a)
    clusters = dict(zip(a.clip.tolist(), cluster.tolist(), strict=True))
    one, other = _sample(a, both, clusters), _sample(b, both, clusters)
    inputs.checked(one.label, one.score)
    measured = [measures.measure(each, 0.5).metrics for each in (one, other)]
    draws_of = [measures.resample(each, 0.5, draws)[EVERYTHING].metrics for each in (one, other)]
    return {
        "format": _FORMAT,
        "clips": len(one.label),
        "real": int((one.label == 0).sum()),
        "fake": int((one.label == 1).sum()),
        "without_face": len(set(a.clip.tolist())) - len(one.label),
        "rule": ", ".join(dict.fromkeys(video.rule_of(each.faces.weight) for each in (a, b))),
        "interval": {"level": bootstrap.LEVEL, "resampled": resampled, "draws": draws},
        "metrics": {
            name: _difference(*(each[name] for each in (*measured, *draws_of))) for name in METRICS
        },
        "delong": dataclasses.asdict(delong.compare(one.label, one.score, other.score)),
    }


def _require_same_clips(a: ScoreTable, b: ScoreTable) -> None:
    labels = [dict(zip(t.clip.tolist(), t.label.tolist(), strict=True)) for t in (a, b)]
    alone = [len(labels[i].keys() - labels[1 - i].keys()) for i in (0, 1)]
    if any(alone):
        raise UserError(
            f"the tables hold other clips: {alone[0]} are in the first alone, {alone[1]} in the "
            "second alone; give scores of one split, with a row for each clip without a face"
        )
    if wrong := sum(label != labels[1][clip] for clip, label in labels[0].items()):
        raise UserError(f"{wrong} clips have other labels in the second table: give one split")


def _with_face(table: ScoreTable) -> set[str]:
    return set(table.faces.clip.tolist())


def _sample(table: ScoreTable, clips: set[str], clusters: dict[str, int]) -> Sample:
    """The scores of these clips, in order of their keys; both P(fake) are that of the table."""
    faces = table.faces.rows(np.array([clip in clips for clip in table.faces.clip], bool))
    found = video.Clips.of(faces)
    score = found.scores()
    cluster = np.array([clusters[clip] for clip in found.clip], int)
    return Sample(found.label, score, score, found.method, cluster)


def _difference(
    a: np.ndarray, b: np.ndarray, draws_of_a: np.ndarray, draws_of_b: np.ndarray
) -> dict[str, Any]:
    differences = draws_of_b - draws_of_a
    values = {"a": a, "b": b, "difference": b - a}
    resampled = {"a": draws_of_a, "b": draws_of_b, "difference": differences}
    return {
        **levels.values_with_intervals(values, resampled),
        "p_value": bootstrap.p_value(differences),
    }
