"""From the scores of faces to a verdict on a file, and to the reason if it is inconclusive.

No face, poor faces and a score in the band that the validation split left undecided are
inconclusive: never a score of one half. The same rule fits the band on validation files, reports on
test files, and judges a user's files.
"""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from dfjax import pooling
from dfjax.faces import quality
from dfjax.faces.align import Crop
from dfjax.media.shots import Shot
from dfjax.model_card import INCONCLUSIVE, LABELS, Decision, ModelCard, QualityLimits

# What a model is not made for: whatever it would say means nothing.
OUT_OF_SCOPE = frozenset({"no_face", "too_many_faces", "too_small", "unlike_training"})
MAX_FACES = 10  # in half of the frames that show any; with more, the file shows a crowd

# From the weakest evidence to the strongest, and then those that are none.
LEVELS = ("none_found", "moderate", "strong", "very_strong", "no_verdict", "not_applicable")

BY_SUSPICION = (LABELS[0], INCONCLUSIVE, LABELS[1])  # as the labels lie along the scores


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of a track or a file.

    Attributes:
      label: one of `model_card.VERDICTS`.
      score: P(fake) of the track that decided; None: it has no usable face.
      reason: why it is inconclusive, a key of `words.REASONS`; else None.
      bounds: the scores that `score` was compared with; None: too few faces to compare.
      stricter: the scores from which evidence is strong, and very strong; () without bounds.
    """

    label: str
    score: float | None
    reason: str | None = None
    bounds: tuple[float, float] | None = None
    stricter: tuple[float, ...] = ()

    @property
    def level(self) -> str:
        """How strong the evidence is, one of `LEVELS`."""
        if self.label == INCONCLUSIVE:
            return "not_applicable" if self.reason in OUT_OF_SCOPE else "no_verdict"
        if self.label == LABELS[0]:
            return "none_found"
        return LEVELS[1 + sum(self.score >= limit for limit in self.stricter)]


@dataclasses.dataclass(frozen=True)
class FaceScore:
    """One face in one frame.

    Attributes:
      frame: its number among the frames that decode, from 0.
      time: in seconds from the first frame; None: a picture, or a video without a frame rate.
      track: the number of its person.
      score: P(fake).
      quality: why the face does not count towards the verdict, a key of `words.REASONS`; None: it
        counts.
      crop: what the model saw; None: scores alone were kept.
      weight: how much it counts in the score of its track (`ModelCard.weigh`).
    """

    frame: int
    time: float | None
    track: int
    score: float
    quality: str | None
    crop: Crop | None = None
    weight: float = 1.0


def check_quality(
    crop: Crop, limits: QualityLimits, strangeness: float = float("nan")
) -> str | None:
    """Returns why a crop cannot be judged, a key of `words.REASONS`, or None if it can.

    `strangeness` is what the model says of it (`familiarity`); NaN: the model has no gate.
    """
    brightness, sharpness = quality.measure(crop.image)
    return limits.check(
        scale=crop.scale, brightness=brightness, sharpness=sharpness, strangeness=strangeness
    )


def usable_faces(faces: Sequence[FaceScore]) -> dict[int, list[FaceScore]]:
    """Returns each track's usable faces, in order; tracks without one are absent."""
    usable: dict[int, list[FaceScore]] = {}
    for face in faces:
        if face.quality is None:
            usable.setdefault(face.track, []).append(face)
    return usable


def track_scores(faces: Sequence[FaceScore]) -> dict[int, float]:
    """Returns the score of each track by its usable faces; tracks without one are absent."""
    return {track: pool(own) for track, own in usable_faces(faces).items()}


def pool(faces: Sequence[FaceScore]) -> float:
    """Returns P(fake) by all of these faces, at least one."""
    return float(pooling.mean(*_scores_and_weights(faces)))


def _scores_and_weights(faces: Sequence[FaceScore]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([face.score for face in faces]), np.array([face.weight for face in faces])


def judge_tracks(
    faces: Sequence[FaceScore], *, kind: str, card: ModelCard, num_tracks: int | None = None
) -> dict[int, Verdict]:
    """Returns the verdict on each track of a file of `kind` "image" or "video", by track number.

    A track of a picture needs one usable face, a track of a video `card.min_video_frames`. Limits
    are those of `num_tracks` tracks; None: as many as are judged.
    """
    usable = usable_faces(faces)
    needed = card.min_video_frames if kind == "video" else 1
    num_judged = num_tracks or sum(len(own) >= needed for own in usable.values())
    decision = card.decision(kind)
    verdicts = {}
    for track in sorted({face.track for face in faces}):
        if track not in usable:
            reason = _most_common([face.quality for face in faces if face.track == track])
            verdicts[track] = Verdict(INCONCLUSIVE, None, reason)
            continue
        score, num_frames = pool(usable[track]), len(usable[track])
        if num_frames < needed:
            verdicts[track] = Verdict(INCONCLUSIVE, score, "too_few_frames")
            continue
        bounds = decision.bounds(num_frames, num_judged)
        label = decision.decide(score, num_frames, num_judged)
        reason = "undecided" if label == INCONCLUSIVE else None
        if label == LABELS[0] and _has_moment(usable[track], needed, num_judged, decision):
            label, reason = INCONCLUSIVE, "moment"
        stricter = decision.stricter(num_frames, num_judged)
        verdicts[track] = Verdict(label, score, reason, bounds, stricter)
    return verdicts


def _has_moment(
    faces: Sequence[FaceScore], length: int, num_tracks: int, decision: Decision
) -> bool:
    if len(faces) < 2 * length:  # it would be most of the track
        return False
    limit = decision.moment_limit(len(faces), length, num_tracks)
    return bool(pooling.running_means(*_scores_and_weights(faces), length).max() >= limit)


def judge(
    faces: Sequence[FaceScore], *, kind: str, card: ModelCard, num_tracks: int | None = None
) -> Verdict:
    """Returns the verdict on a file of `kind` "image" or "video" that shows `faces`.

    It is the verdict on the most suspicious track: a fake one, else an undecided one, else a real
    one; among equals, the one with the highest score (`words.RULE`). `num_tracks` is that of
    `judge_tracks`.
    """
    if not faces:
        return Verdict(INCONCLUSIVE, None, "no_face")
    if np.median(list(collections.Counter(face.frame for face in faces).values())) > MAX_FACES:
        return Verdict(INCONCLUSIVE, None, "too_many_faces")
    verdicts = list(judge_tracks(faces, kind=kind, card=card, num_tracks=num_tracks).values())
    if judged := [verdict for verdict in verdicts if verdict.bounds is not None]:
        return max(judged, key=lambda verdict: (BY_SUSPICION.index(verdict.label), verdict.score))
    if scored := [verdict for verdict in verdicts if verdict.score is not None]:
        return max(scored, key=lambda verdict: verdict.score)
    return Verdict(INCONCLUSIVE, None, _most_common([face.quality for face in faces]))


def judge_shots(
    faces: Sequence[FaceScore], shots: Sequence[Shot], *, card: ModelCard
) -> list[Verdict]:
    """Returns the verdict on each shot of a video, with the limits of the whole file."""
    parts = [[face for face in faces if shot.first <= face.frame < shot.stop] for shot in shots]
    counts = [len(own) for part in parts for own in usable_faces(part).values()]
    num_judged = sum(count >= card.min_video_frames for count in counts)
    return [judge(part, kind="video", card=card, num_tracks=num_judged) for part in parts]


@dataclasses.dataclass(frozen=True)
class Moment:
    """A part of a track that looks manipulated by itself.

    Attributes:
      track: the number of its person.
      faces: its usable faces, in order.
    """

    track: int
    faces: tuple[FaceScore, ...]

    @property
    def score(self) -> float:
        """P(fake) by its faces."""
        return pool(self.faces)


def moments(faces: Sequence[FaceScore], *, kind: str, card: ModelCard) -> list[Moment]:
    """Returns where the tracks of a video look manipulated, in order of time.

    Parts that overlap or touch are one. A track that is fake from its begin to its end is one
    moment.
    """
    if kind != "video":
        return []
    length, decision = card.min_video_frames, card.decision(kind)
    tracks = {number: own for number, own in usable_faces(faces).items() if len(own) >= length}
    found = []
    for number, own in tracks.items():
        limit = decision.moment_limit(len(own), length, len(tracks))
        means = pooling.running_means(*_scores_and_weights(own), length)
        inside = np.zeros(len(own), bool)
        for begin in np.flatnonzero(means >= limit):
            inside[begin : begin + length] = True
        edges = np.flatnonzero(np.diff(np.r_[False, inside, False]))
        found += [Moment(number, tuple(own[a:b])) for a, b in edges.reshape(-1, 2)]
    return sorted(found, key=lambda moment: moment.faces[0].frame)


def _most_common(reasons: Sequence[str]) -> str:
    return max(set(reasons), key=lambda reason: (reasons.count(reason), reason))
