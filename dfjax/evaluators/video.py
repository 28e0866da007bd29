"""From the scores of faces to one score per clip, by one of several rules.

With several faces in a frame the most suspicious one speaks for the frame. A clip is a video if a
face was found in two of its frames or more.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from dfjax import logistic, pooling
from dfjax.errors import UserError
from dfjax.evaluators import score_table

FACES_OF_A_FRAME = "the largest score among its faces"
RULE = pooling.IN_WORDS["mean"]
WEIGHTED_RULE = "weighted mean probability"  # of a model that weighs frames (`pooling`)
TOP = 8  # frames of the rule "mean of the 8 highest"


class Scored(Protocol):
    """What has a row per face: `frame.Scores`, a `ScoreTable`; arrays [N]."""

    clip: np.ndarray
    method: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    logit: np.ndarray
    score: np.ndarray
    weight: np.ndarray


@dataclasses.dataclass(frozen=True)
class Clips:
    """Clips sorted by their keys, and their frames that show a face.

    Attributes:
      clip, method: C texts.
      label: int [C], 0 real, 1 fake.
      row: int [C], a row of each clip in what was scored.
      member: int [F], the clip of each frame.
      score: float64 [F], P(fake) of each frame.
      logit: float64 [F], before the temperature.
      weight: float64 [F], how much each frame counts in the score of its clip.
    """

    clip: np.ndarray
    method: np.ndarray
    label: np.ndarray
    row: np.ndarray
    member: np.ndarray
    score: np.ndarray
    logit: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, scored: Scored) -> "Clips":
        """Returns the clips of what was scored.

        Clips are distinguished by their whole key (corpus/method/name): names alone repeat between
        forgery methods.

        Raises:
          UserError: faces of one clip disagree about its label.
        """
        clips, member = score_table.factorize(scored.clip)
        row = np.empty(len(clips), int)
        row[member[::-1]] = np.arange(len(member))[::-1]  # the first one of each
        label = scored.label[row]
        if (label[member] != scored.label).any():
            mixed = clips[member[np.argmax(label[member] != scored.label)]]
            raise UserError(f"clip {str(mixed)!r} has faces of both labels: prepare it again")
        order = np.lexsort((scored.frame, member))
        clip_of, frame = member[order], scored.frame[order]
        is_new = np.ones(len(order), bool)
        is_new[1:] = (np.diff(clip_of) != 0) | (np.diff(frame) != 0)
        starts = np.flatnonzero(is_new)
        # The row of each frame's most suspicious face: the last one, by frame and then by score.
        last = np.r_[starts, len(order)][1:] - 1
        speaks = np.lexsort((scored.score, scored.frame, member))[last]
        return cls(
            clip=clips,
            method=scored.method[row],
            label=label,
            row=row,
            member=clip_of[starts],
            score=scored.score[speaks],
            logit=scored.logit[speaks],
            weight=scored.weight[speaks],
        )

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def frames(self) -> np.ndarray:
        """The number of frames of each clip that show a face, int [C]."""
        return np.bincount(self.member, minlength=len(self))

    @property
    def videos(self) -> "Clips":
        """The clips that are videos: those of which a face was found in two frames or more."""
        video = self.frames > 1
        number = np.cumsum(video) - 1
        kept = video[self.member]
        return Clips(
            *(each[video] for each in (self.clip, self.method, self.label, self.row)),
            number[self.member][kept],
            *(each[kept] for each in (self.score, self.logit, self.weight)),
        )

    def mean(self, value: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Returns the mean of a value [F] over the frames of each clip, [C]; weights are [F]."""
        weight = np.ones(len(self.member)) if weight is None else weight
        totals = (np.bincount(self.member, each, len(self)) for each in (value * weight, weight))
        return np.divide(*totals)

    def scores(self) -> np.ndarray:
        """Returns P(fake) of each clip, float64 [C]: the weighted mean of its frames'."""
        return self.mean(self.score, self.weight)

    def raw_scores(self) -> np.ndarray:
        """Returns the same before the temperature."""
        return self.mean(logistic.to_score(self.logit), self.weight)

    @property
    def by_rule(self) -> dict[str, np.ndarray]:
        """P(fake) of each clip, float64 [C], by the rule of `scores` and by those of `OTHERS`."""
        of_others = {name: rule(self) for name, rule in OTHERS.items()}
        return {rule_of(self.weight): self.scores()} | of_others


def rule_of(weight: np.ndarray) -> str:
    """Returns the rule by which frames of these weights [N] make the score of a clip, in words."""
    return RULE if (weight == 1).all() else WEIGHTED_RULE


def _mean_probability(clips: Clips) -> np.ndarray:
    return clips.mean(clips.score)


def _mean_logit(clips: Clips) -> np.ndarray:
    return logistic.to_score(clips.mean(clips.logit))


def _confidence_weighted_mean(clips: Clips) -> np.ndarray:
    return clips.mean(clips.score, pooling.weights("confidence", clips.score, clips.score))


def _mean_of_highest(clips: Clips) -> np.ndarray:
    order = np.lexsort((-clips.score, clips.member))  # clips stay in their places
    first = np.r_[0, np.cumsum(clips.frames)[:-1]]
    place = np.arange(len(order)) - first[clips.member]
    return clips.mean(clips.score[order], (place < TOP).astype(float))


OTHERS: dict[str, Callable[[Clips], np.ndarray]] = {
    RULE: _mean_probability,
    "mean logit": _mean_logit,
    "confidence-weighted mean": _confidence_weighted_mean,
    f"mean of the {TOP} highest": _mean_of_highest,
}
"""What else makes P(fake) of a clip, for comparison; the mean logit is before the temperature."""
