"""What the gate of a model refuses of a score table, and what that does to the errors."""

from typing import Any

import numpy as np

from dfjax import logistic
from dfjax.corpora.clip import LABELS
from dfjax.evaluators.score_table import ScoreTable
from dfjax.model_card import ModelCard

COLUMN = "strangeness"  # of score tables
COVERAGES = tuple(round(0.1 * step, 1) for step in range(1, 11))


def measure(table: ScoreTable, card: ModelCard | None, threshold: float) -> dict[str, Any] | None:
    """Returns what report.json says of the gate; None: there is none, or no face.

    The keys: `limit`; `refused`, by class the numbers of `faces` and of `refused` ones, on the gate
    alone; and `risk`, by `coverage` of all faces the share of wrong ones among them at the
    `threshold`, where the least certain are left out first: `without` the gate, and `with` it,
    where the refused are left out before all others (None: more than the gate lets pass).
    """
    limit = None if card is None else card.quality.max_strangeness
    strangeness = table.faces.extra.get(COLUMN)
    if limit is None or strangeness is None or not len(strangeness):
        return None
    faces = table.faces
    refused = ~(strangeness.astype(float) <= limit)
    wrong = (faces.score >= threshold) != (faces.label == 1)
    certainty = np.abs(logistic.to_logit(faces.score) - logistic.to_logit(threshold))
    return {
        "limit": limit,
        "refused": {
            name: {
                "faces": int((faces.label == label).sum()),
                "refused": int(refused[faces.label == label].sum()),
            }
            for label, name in enumerate(LABELS)
        },
        "risk": {
            "coverage": list(COVERAGES),
            "without": _risk(wrong, certainty, len(faces)),
            "with": _risk(wrong[~refused], certainty[~refused], len(faces)),
        },
    }


def _risk(wrong: np.ndarray, certainty: np.ndarray, total: int) -> list[float | None]:
    """The share of wrong ones among the most certain, for each of `COVERAGES` of a total."""
    ordered = wrong[np.argsort(-certainty, kind="stable")]
    counts = [max(1, round(coverage * total)) for coverage in COVERAGES]
    return [float(ordered[:count].mean()) if count <= len(ordered) else None for count in counts]
