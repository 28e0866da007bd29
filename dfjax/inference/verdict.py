"""From scores to a verdict, and to the reason where there is none.

A verdict is "real", "fake" or "inconclusive". No face, a poor face and a score in the band that the
validation split left undecided are inconclusive: never a score of one half.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from dfjax.faces.align import Crop
from dfjax.model_card import ModelCard

RULE = (
    "a track scores the mean over its usable faces, a file as its most suspicious track; "
    "tracks of fewer than 3 usable faces count only where there is no longer one"
)
SCORE_MEANING = "likelihood that the face is manipulated, not the amount of manipulation"

MIN_FRAMES = 3  # usable faces a video needs for a verdict, and a track to speak for the file
MAX_ENLARGEMENT = 3.0  # crop pixels per frame pixel: beyond, the crop is mostly interpolation
MIN_BRIGHTNESS = 15.0  # mean luma of 255
MAX_BRIGHTNESS = 235.0
MIN_SHARPNESS = 4.0  # variance of the Laplacian of the luma at 128 px: a blur of about 3 pixels

REASONS = {
    "no_face": "no face was found",
    "too_small": "the faces are too small",
    "too_dark": "the faces are too dark, or overexposed",
    "too_blurred": "the faces are too blurred",
    "too_few_frames": f"fewer than {MIN_FRAMES} frames show a usable face",
    "undecided": "the score lies where validation data did not let the model decide",
    "decode_error": "the file could not be decoded",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`label` is "real", "fake" or "inconclusive"; then `reason` is a key of `REASONS`.

    `score` is P(fake) of the file, None where no usable face was scored.
    """

    label: str
    score: float | None
    reason: str | None = None


def check_quality(crop: Crop) -> str | None:
    """Returns why a crop is not fit to be judged, a key of `REASONS`, or None if it is.

    The limits are far out: a detector shall be asked about poor faces, and its score believed less,
    rather than be asked about nearly none.
    """
    if crop.scale > MAX_ENLARGEMENT:
        return "too_small"
    grey = cv2.cvtColor(cv2.resize(crop.image, (128, 128)), cv2.COLOR_RGB2GRAY)
    if not MIN_BRIGHTNESS <= grey.mean() <= MAX_BRIGHTNESS:
        return "too_dark"
    if cv2.Laplacian(grey, cv2.CV_64F).var() < MIN_SHARPNESS:
        return "too_blurred"
    return None


@dataclasses.dataclass(frozen=True)
class FaceScore:
    """One face in one frame.

    `frame` counts the frames that decode, `time` is its second in the video (None: a picture, or
    a video without a rate). `score` is P(fake); `quality` says why the face does not count towards
    the verdict (a key of `REASONS`), None that it does. `crop` is what the model saw.
    """

    frame: int
    time: float | None
    track: int
    score: float
    quality: str | None
    crop: Crop


def track_scores(faces: Sequence[FaceScore]) -> dict[int, float]:
    """Returns the mean score of each track over its usable faces; tracks without one are absent."""
    usable: dict[int, list[float]] = {}
    for face in faces:
        if face.quality is None:
            usable.setdefault(face.track, []).append(face.score)
    return {track: float(np.mean(scores)) for track, scores in usable.items()}


def judge(faces: Sequence[FaceScore], *, is_video: bool, card: ModelCard) -> Verdict:
    """Returns the verdict on a file of which `faces` were found, by `RULE`.

    A picture needs one usable face, a video `MIN_FRAMES` of one track.
    """
    if not faces:
        return Verdict("inconclusive", None, "no_face")
    scores = track_scores(faces)
    if not scores:
        reasons = [face.quality for face in faces]
        return Verdict("inconclusive", None, max(set(reasons), key=reasons.count))
    num_usable = {t: sum(f.track == t and f.quality is None for f in faces) for t in scores}
    needed = MIN_FRAMES if is_video else 1
    long_enough = {track: s for track, s in scores.items() if num_usable[track] >= needed}
    score = max((long_enough or scores).values())
    if not long_enough:
        return Verdict("inconclusive", score, "too_few_frames")
    label = card.decision("video" if is_video else "frame").decide(score)
    if label is None:
        return Verdict("inconclusive", score, "undecided")
    return Verdict(label, score)
