"""Scores of the crops of a prepared split."""

import dataclasses

import numpy as np

from dfjax import metrics


@dataclasses.dataclass(frozen=True)
class Scores:
    """One row per crop, in the order of the dataset.

    Attributes:
      index, frame, face: int [N]; the record, the frame of its clip, the face in its frame.
      clip, method: N texts.
      label: int [N], 0 real, 1 fake.
      logit: float64 [N]; `score` is P(fake).
      box: float [N, 4], of the face in pixels of the frame.
      scale: float [N], crop pixels per frame pixel.
      brightness, sharpness: float [N], see `faces.quality`.
      temperature: what logits are divided by before they become scores.
    """

    index: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    face: np.ndarray
    method: np.ndarray
    label: np.ndarray
    logit: np.ndarray
    box: np.ndarray
    scale: np.ndarray
    brightness: np.ndarray
    sharpness: np.ndarray
    temperature: float = 1.0

    @property
    def score(self) -> np.ndarray:
        return metrics.to_score(self.logit, self.temperature)

    def __len__(self) -> int:
        return len(self.index)
