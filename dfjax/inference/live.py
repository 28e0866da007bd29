"""Verdicts while a camera runs: the newest frame first, faces detected now and then and followed
in between.

Detecting the faces of a whole frame takes longer than a frame lasts. It is done on every
`detect_every`-th analysed frame, on a small copy. In between, faces are followed by their
landmarks, and dropped as soon as the face detector no longer sees one there. What draws or prints
stands above this module.
"""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence

import numpy as np

from dfjax import verdict
from dfjax.errors import UserError
from dfjax.faces import detect, track
from dfjax.faces.detect import Face
from dfjax.inference import extract
from dfjax.inference.detector import Detector, stack_crops
from dfjax.inference.extract import ExtractedFace
from dfjax.media.stream import LiveFrame, LiveSource
from dfjax.verdict import FaceScore

SEARCH_SIZE = 640  # long side, in pixels, of the copy that is searched: faces from about 75 pixels
WINDOW = 75  # usable faces of a track that its verdict is by: 3 seconds at 25 a second
# Neighboring frames look alike: so many scores count as one of the frames that a file is judged by,
# which lie far apart.
SCORES_PER_FRAME = 5


@dataclasses.dataclass(frozen=True)
class LiveTrack:
    """What is known of one person now.

    Attributes:
      track: the number of the person.
      score: P(fake) by the last usable faces; None: there are too few. The model card asks for a
        number of them in a video, and `SCORES_PER_FRAME` of these count as one.
      label: one of `model_card.VERDICTS`; None with the score.
    """

    track: int
    score: float | None
    label: str | None


@dataclasses.dataclass(frozen=True)
class LiveResult:
    """The result for one frame of a live source.

    Attributes:
      frame: the frame.
      faces: the faces in it, with their scores.
      tracks: what is known of each of these faces' persons.
      passed_over: number of frames that arrived since the last result and were not analysed.
      latency: seconds from the arrival of the frame to the result.
      seconds: the parts of it: "wait", "find", "crop" and "score".
    """

    frame: LiveFrame
    faces: tuple[FaceScore, ...]
    tracks: tuple[LiveTrack, ...]
    passed_over: int
    latency: float
    seconds: dict[str, float]


class LiveDetector:
    """Follows faces through a live source and scores each in every analysed frame."""

    def __init__(self, detector: Detector, *, detect_every: int = 5):
        """Raises UserError if the model takes pictures as they are: there is no face to follow."""
        if detector.face_detector is None:
            raise UserError(
                "the model was trained on pictures taken as they are, so there is no face to "
                "follow: add --align (in Python, always_align=True)"
            )
        self._detector, self._detect_every = detector, detect_every
        quick = dataclasses.replace(
            detector.crop_spec, working_size=SEARCH_SIZE, detection_border=0.0, upsample=0
        )
        self._quick_face_detector = detect.FaceDetector(quick)
        self._tracker = track.Tracker()
        self._faces: list[Face] = []
        self._usable: dict[int, collections.deque[FaceScore]] = {}
        self._num_analysed = 0
        # The first call of a runtime compiles: no live frame should wait for that.
        size = detector.crop_spec.size
        for count in (1, 2, 4):
            detector.scorer.scores(np.zeros((count, size, size, 3), np.uint8))

    def run(self, source: LiveSource) -> Iterator[LiveResult]:
        """Yields a result for every frame that there is time for.

        Raises:
          MediaError: the source does not open, or is a file that does not decode.
        """
        last = -1
        for frame in source:
            yield self.look(frame, passed_over=frame.number - last - 1)
            last = frame.number

    def look(self, frame: LiveFrame, *, passed_over: int = 0) -> LiveResult:
        """Returns the result for the next frame."""
        seconds = {"wait": time.monotonic() - frame.captured}
        with _timed(seconds, "find"):
            tracks = self._follow(frame.image)
        with _timed(seconds, "crop"):
            crops = extract.cut_as_stored(frame.image, self._faces, self._detector.crop_spec)
            extracted = [
                ExtractedFace(frame.number, None, number, crop)
                for number, crop in zip(tracks, crops, strict=True)
            ]
        with _timed(seconds, "score"):
            faces = self._score(extracted)
            live_tracks = self._judge(faces)
        latency = time.monotonic() - frame.captured
        return LiveResult(frame, faces, live_tracks, passed_over, latency, seconds)

    def _follow(self, image: np.ndarray) -> list[int]:
        """Finds the faces of the next frame, and returns the track of each."""
        known = self._faces
        if self._num_analysed % self._detect_every == 0:
            known = self._quick_face_detector.detect(image)
        self._num_analysed += 1
        followed = [self._detector.face_detector.follow(image, face) for face in known]
        self._faces = [face for face in followed if face is not None]
        return self._tracker.update(self._num_analysed, self._faces)

    def _score(self, faces: Sequence[ExtractedFace]) -> tuple[FaceScore, ...]:
        crops = stack_crops(faces, self._detector.crop_spec.size)
        return self._detector.face_scores(faces, self._detector.scorer.outputs(crops))

    def _judge(self, faces: Sequence[FaceScore]) -> tuple[LiveTrack, ...]:
        """What is known of the tracks of these faces, by the rule for videos."""
        self._remember(faces)
        card = self._detector.scorer.card
        decision = card.decision("video")
        counts = [len(self._usable[face.track]) // SCORES_PER_FRAME for face in faces]
        num_judged = sum(count >= card.min_video_frames for count in counts)
        tracks = []
        for face, count in zip(faces, counts, strict=True):
            if count < card.min_video_frames:
                tracks.append(LiveTrack(face.track, None, None))
                continue
            score = verdict.pool(self._usable[face.track])
            label = decision.decide(score, count, num_judged)
            tracks.append(LiveTrack(face.track, score, label))
        return tuple(tracks)

    def _remember(self, faces: Sequence[FaceScore]) -> None:
        """Keeps the usable ones of these faces, and forgets tracks that have ended."""
        for face in faces:
            usable = self._usable.setdefault(face.track, collections.deque(maxlen=WINDOW))
            if face.quality is None:
                usable.append(dataclasses.replace(face, crop=None))
        self._usable = {n: own for n, own in self._usable.items() if n in self._tracker.numbers}


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - began
