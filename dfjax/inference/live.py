"""Verdicts while the camera runs: newest frame first, searched now and then, followed in between.

A full search for faces costs more than a frame lasts. It is made on every `search_every`-th frame
that is looked at, on a small copy; between two searches faces are followed by their landmarks, and
dropped as soon as the detector sees none where they should be.
"""

import collections
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import verdict
from dfjax.errors import UserError
from dfjax.faces import align, crop, detect, track
from dfjax.faces.detect import Face
from dfjax.inference import annotate, window
from dfjax.inference.detector import Detector
from dfjax.media import stream
from dfjax.media.stream import LiveFrame, LiveSource
from dfjax.verdict import FaceScore

SEARCH_SIZE = 640  # long side, in pixels, of the copy that is searched: faces from about 75 pixels
WINDOW = 75  # usable scores of a track that its verdict is the mean of: 3 seconds at 25 a second
# Neighbouring frames look alike: so many scores count as one of the frames that a file is judged
# by, which are far apart.
SCORES_PER_FRAME = 5


@dataclasses.dataclass(frozen=True)
class LiveTrack:
    """What is known of one person now: the mean of the last scores and what it stands for.

    `score` and `label` are None until there are as many usable faces as the model card asks of a
    video, `SCORES_PER_FRAME` counting as one; `label` is "real", "fake" or "inconclusive".
    """

    track: int
    score: float | None
    label: str | None


@dataclasses.dataclass(frozen=True)
class LiveResult:
    """What was seen in one frame of a live source.

    `passed_over` counts frames that came since the last result and were not looked at. `latency` is
    the seconds from arrival to result, `seconds` what of it each stage took.
    """

    frame: LiveFrame
    faces: tuple[FaceScore, ...]
    tracks: tuple[LiveTrack, ...]
    passed_over: int
    latency: float
    seconds: dict[str, float]


class LiveDetector:
    """Follows faces through a live source and scores every one in every frame that it looks at."""

    def __init__(self, detector: Detector, *, search_every: int = 5):
        """Raises ValueError for a model of pictures taken as they are: it has no face to follow."""
        if detector.finder is None:
            raise UserError(
                "the model was trained on pictures taken as they are: to look for faces in a "
                "stream, ask for aligned ones (--align)"
            )
        self._detector, self._search_every = detector, search_every
        quick = dataclasses.replace(
            detector.spec, working_size=SEARCH_SIZE, detection_border=0.0, upsample=0
        )
        self._extractor = detect.FaceDetector(quick)
        self._tracker = track.Tracker()
        self._faces: list[Face] = []
        self._scores: dict[int, collections.deque[float]] = {}
        self._num_seen = 0
        # The first call of a runtime compiles; a live frame shall not wait for that.
        size = detector.spec.size
        for count in (1, 2, 4):
            detector.scorer.scores(np.zeros((count, size, size, 3), np.uint8))

    def run(self, source: LiveSource) -> Iterator[LiveResult]:
        """Yields a result for every frame that there was time for.

        Raises:
          MediaError: the source does not open, or is a file that does not decode.
        """
        last = -1
        for frame in source:
            yield self.look(frame, passed_over=frame.number - last - 1)
            last = frame.number

    def look(self, frame: LiveFrame, *, passed_over: int = 0) -> LiveResult:
        """Returns the result for the next frame."""
        marks = [time.monotonic()]
        image = frame.image
        marks.append(time.monotonic())
        finder, spec = self._detector.finder, self._detector.spec
        known = self._faces
        if self._num_seen % self._search_every == 0:
            known = self._extractor.detect(image)
        self._num_seen += 1
        followed = [finder.follow(image, face) for face in known]
        self._faces = [face for face in followed if face is not None]
        numbers = self._tracker.update(self._num_seen, self._faces)
        marks.append(time.monotonic())
        crops = [
            crop.as_stored(align.align_face(image, f.landmarks, f.box, spec), spec)
            for f in self._faces
        ]
        marks.append(time.monotonic())
        images = np.stack([each.image for each in crops]) if crops else _no_crops(spec.size)
        model = self._detector.scorer
        scores, card = model.scores(images), model.card
        qualities = [verdict.check_quality(each, card.quality) for each in crops]
        faces = tuple(
            FaceScore(frame.number, None, number, float(score), quality, each)
            for number, score, quality, each in zip(numbers, scores, qualities, crops, strict=True)
        )
        tracks = self._judge(faces)
        self._scores = {n: s for n, s in self._scores.items() if n in self._tracker.numbers}
        marks.append(time.monotonic())
        spent = dict(
            zip(("convert", "find", "crop", "score"), np.diff(marks).tolist(), strict=True)
        )
        waited = {"wait": marks[0] - frame.captured}
        return LiveResult(
            frame, faces, tracks, passed_over, marks[-1] - frame.captured, {**waited, **spent}
        )

    def _judge(self, faces: Sequence[FaceScore]) -> tuple[LiveTrack, ...]:
        """What is known of the tracks of these faces, by the rule that videos are judged by."""
        card = self._detector.scorer.card
        decision = card.decision("video")
        for face in faces:
            scores = self._scores.setdefault(face.track, collections.deque(maxlen=WINDOW))
            if face.quality is None:
                scores.append(face.score)
        counts = [len(self._scores[face.track]) // SCORES_PER_FRAME for face in faces]
        num_judged = sum(count >= card.min_video_frames for count in counts)
        tracks = []
        for face, count in zip(faces, counts, strict=True):
            if count < card.min_video_frames:
                tracks.append(LiveTrack(face.track, None, None))
                continue
            score = float(np.mean(self._scores[face.track]))
            label = decision.decide(score, count, num_judged)
            tracks.append(LiveTrack(face.track, score, label))
        return tuple(tracks)


def _no_crops(size: int) -> np.ndarray:
    return np.zeros((0, size, size, 3), np.uint8)


def watch(source: str, detector: Detector, *, search_every: int) -> None:
    """Judges a live source until it ends or is stopped: JSON lines, and a window if there is one.

    Raises:
      UserError: the model cannot follow faces.
      MediaError: the source does not open.
    """
    following = LiveDetector(detector, search_every=search_every)
    with stream.LiveSource(source) as frames, window.open_window(source) as shown:
        for result in following.run(frames):
            print(json.dumps(event(result)), flush=True)
            if shown is not None and not shown.show(draw(result)):
                return


def event(result: LiveResult) -> dict[str, Any]:
    """Returns what a program wants to know of a result, as JSON."""
    tracks = {each.track: each for each in result.tracks}
    return {
        "frame": result.frame.number,
        "passed_over": result.passed_over,
        "latency_ms": round(1000 * result.latency, 1),
        "faces": [
            {
                "track": face.track,
                "box": [round(float(side), 1) for side in face.crop.box],
                "score": face.score,
                "quality": face.quality,
                "mean_score": tracks[face.track].score,
                "verdict": tracks[face.track].label,
            }
            for face in result.faces
        ],
    }


def draw(result: LiveResult) -> np.ndarray:
    """Returns the frame with the faces marked, RGB uint8 [H, W, 3]."""
    labels = {each.track: each.label for each in result.tracks}
    return annotate.draw_faces(result.frame.image, result.faces, labels)
