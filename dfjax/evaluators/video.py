"""From crops to clips: one score per video."""

import dataclasses

import numpy as np

from dfjax.errors import UserError
from dfjax.evaluators import frame

RULE = "mean over frames of the largest score among the frame's faces"


@dataclasses.dataclass(frozen=True)
class ClipScores:
    """One row per clip, sorted by its key.

    Attributes:
      clip, method: N texts.
      label: int [N], 0 real, 1 fake.
      score: float64 [N], P(fake) by `RULE`.
      frames: int [N], frames that had a face.
    """

    clip: np.ndarray
    method: np.ndarray
    label: np.ndarray
    score: np.ndarray
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def videos(self) -> "ClipScores":
        """The clips that are videos: those of which a face was found in two frames or more."""
        rows = self.frames > 1
        columns = (getattr(self, field.name)[rows] for field in dataclasses.fields(self))
        return ClipScores(*columns)


def clip_scores(scores: frame.Scores) -> ClipScores:
    """The mean score of each clip over its frames.

    Clips are distinguished by their whole key (corpus/method/name): names alone repeat between
    forgery methods. With several faces in a frame the most suspicious one speaks for the frame.

    Raises:
      UserError: crops of one clip disagree about its label.
    """
    clips, first, member = np.unique(scores.clip, return_index=True, return_inverse=True)
    label = scores.label[first]
    if (label[member] != scores.label).any():
        mixed = clips[member[np.argmax(label[member] != scores.label)]]
        raise UserError(f"clip {str(mixed)!r} has crops of both labels: prepare the corpus again")
    _, frame_of = np.unique(np.stack([member, scores.frame]), axis=1, return_inverse=True)
    frame_of = frame_of.ravel()
    frame_score = np.full(frame_of.max() + 1, -np.inf)
    np.maximum.at(frame_score, frame_of, scores.score)
    clip_of_frame = np.zeros(len(frame_score), int)
    clip_of_frame[frame_of] = member
    frames = np.bincount(clip_of_frame, minlength=len(clips))
    total = np.bincount(clip_of_frame, weights=frame_score, minlength=len(clips))
    return ClipScores(clips, scores.method[first], label, total / frames, frames)
