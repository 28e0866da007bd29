"""Scores as probabilities: before calibration, after the temperature, and by the isotonic table.

Both were fitted to crops of the validation split; here they meet data that they have not seen.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dfjax import logistic
from dfjax.evaluators.score_table import ScoreTable
from dfjax.evaluators.video import Clips
from dfjax.metrics import calibration
from dfjax.model_card import ModelCard


def measure(table: ScoreTable, card: ModelCard | None) -> dict[str, Any]:
    """Returns the calibration of crops ("frame") and of videos ("video") as plain JSON.

    Besides `temperature` and `isotonic`, which the card holds (null where it does not), there is
    for each level either null, where a class is missing, or for each of "raw", "temperature" and
    "isotonic" (if there is a table) its `log_loss`, `brier`, `ece` and `reliability`
    (`metrics.calibration`). P(fake) of a video is the mean of those of its frames.
    """
    faces = table.faces
    videos = Clips.of(faces).videos
    frames = _probabilities(faces.logit, faces.score, card)
    of_frames = _probabilities(videos.logit, videos.score, card)
    of_videos = {name: videos.mean(each) for name, each in of_frames.items()}
    return {
        "temperature": None if card is None else card.temperature,
        "isotonic": None if card is None else card.to_json()["isotonic"],
        "frame": _measure(faces.label, frames),
        "video": _measure(videos.label, of_videos),
    }


def _probabilities(
    logit: np.ndarray, score: np.ndarray, card: ModelCard | None
) -> dict[str, np.ndarray]:
    found = {"raw": logistic.to_score(logit), "temperature": score}
    if card is not None and card.isotonic is not None:
        found["isotonic"] = card.isotonic(score)
    return found


def _measure(
    label: np.ndarray, probabilities: Mapping[str, np.ndarray]
) -> dict[str, dict[str, Any]] | None:
    if set(np.unique(label).tolist()) != {0, 1}:
        return None
    return {
        name: {
            "log_loss": calibration.log_loss(label, each),
            "brier": calibration.brier(label, each),
            "ece": calibration.ece(label, each),
            "reliability": calibration.reliability(label, each),
        }
        for name, each in probabilities.items()
    }
