"""From scores to a verdict, and to the reason where there is none.

A verdict is "real", "fake" or "inconclusive". No face, a poor face and a score in the band that the
validation split left undecided are inconclusive: never a score of one half. The same rule fits the
band on validation files, reports on test files, and judges a user's.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dfjax.faces import quality
from dfjax.faces.align import Crop
from dfjax.model_card import ModelCard, QualityLimits

RULE = (
    "a track scores the mean over its usable faces; a file is fake if a track is, real if all "
    "tracks are, and else undecided; limits are wider for short tracks and for several; tracks of "
    "too few usable faces do not count where there is a longer one"
)
SCORE_MEANING = "likelihood that the face is manipulated, not the amount of manipulation"

REASONS = {
    "no_face": "no face was found",
    "too_small": "the faces are too small",
    "too_dark": "the faces are too dark, or overexposed",
    "too_blurred": "the faces are too blurred",
    "too_few_frames": "too few frames show a usable face",
    "undecided": "the score lies where validation data did not let the model decide",
    "decode_error": "the file could not be decoded",
}

_BY_SUSPICION = ("real", "inconclusive", "fake")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`label` is "real", "fake" or "inconclusive"; then `reason` is a key of `REASONS`.

    `score` is P(fake) of the track that decided, None where no usable face was scored. `bounds` are
    the scores that it was compared with, None where there were too few faces for that.
    """

    label: str
    score: float | None
    reason: str | None = None
    bounds: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class FaceScore:
    """One face in one frame.

    `frame` counts the frames that decode, `time` is its second in the video (None: a picture, or
    a video without a rate). `score` is P(fake); `quality` says why the face does not count towards
    the verdict (a key of `REASONS`), None that it does. `crop` is what the model saw; None where
    the picture is not at hand.
    """

    frame: int
    time: float | None
    track: int
    score: float
    quality: str | None
    crop: Crop | None = None


def check_quality(crop: Crop, limits: QualityLimits) -> str | None:
    """Returns why a crop is not fit to be judged, a key of `REASONS`, or None if it is."""
    brightness, sharpness = quality.measure(crop.image)
    return limits.check(scale=crop.scale, brightness=brightness, sharpness=sharpness)


def usable_scores(faces: Sequence[FaceScore]) -> dict[int, list[float]]:
    """Returns the scores of each track's usable faces, in order; tracks without one are absent."""
    usable: dict[int, list[float]] = {}
    for face in faces:
        if face.quality is None:
            usable.setdefault(face.track, []).append(face.score)
    return usable


def track_scores(faces: Sequence[FaceScore]) -> dict[int, float]:
    """Returns the mean score of each track over its usable faces; tracks without one are absent."""
    return {track: float(np.mean(scores)) for track, scores in usable_scores(faces).items()}


def judge_tracks(faces: Sequence[FaceScore], *, kind: str, card: ModelCard) -> dict[int, Verdict]:
    """Returns the verdict on each track of a file of `kind` "image" or "video", by track number.

    A picture needs one usable face, a video `card.min_video_frames` of one track.
    """
    usable = usable_scores(faces)
    needed = card.min_video_frames if kind == "video" else 1
    num_judged = sum(len(scores) >= needed for scores in usable.values())
    decision = card.decision(kind)
    verdicts = {}
    for track in sorted({face.track for face in faces}):
        if track not in usable:
            reason = _most_common([face.quality for face in faces if face.track == track])
            verdicts[track] = Verdict("inconclusive", None, reason)
            continue
        score, num_frames = float(np.mean(usable[track])), len(usable[track])
        if num_frames < needed:
            verdicts[track] = Verdict("inconclusive", score, "too_few_frames")
            continue
        label = decision.decide(score, num_frames, num_judged)
        reason = "undecided" if label == "inconclusive" else None
        bounds = decision.bounds(num_frames, num_judged)
        verdicts[track] = Verdict(label, score, reason, bounds)
    return verdicts


def judge(faces: Sequence[FaceScore], *, kind: str, card: ModelCard) -> Verdict:
    """Returns the verdict on a file of `kind` "image" or "video" that shows `faces`, by `RULE`.

    It is that of the most suspicious track: one that is fake, else one that is undecided, else one
    that is real; among equals the one of the highest score.
    """
    if not faces:
        return Verdict("inconclusive", None, "no_face")
    verdicts = list(judge_tracks(faces, kind=kind, card=card).values())
    if judged := [each for each in verdicts if each.bounds is not None]:
        return max(judged, key=lambda each: (_BY_SUSPICION.index(each.label), each.score))
    if scored := [each for each in verdicts if each.score is not None]:
        return max(scored, key=lambda each: each.score)
    return Verdict("inconclusive", None, _most_common([face.quality for face in faces]))


def _most_common(reasons: Sequence[str]) -> str:
    return max(set(reasons), key=lambda reason: (reasons.count(reason), reason))
