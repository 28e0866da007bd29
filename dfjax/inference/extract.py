"""Media to tracked face crops: the half of detection that needs no model.

Imports no JAX: it runs in sandboxed processes that need none (`inference.tasks`).
"""

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from dfjax import words
from dfjax.evidence.gather import Evidence
from dfjax.faces import crop, detect, track
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import image as media_image
from dfjax.media import kind as media_kind
from dfjax.media import shots as media_shots
from dfjax.media import video as media_video
from dfjax.media.shots import Shot

NUM_FRAMES = 32  # of a video
FRAMES_PER_SHOT = 4  # at least, of its shots


@dataclasses.dataclass(frozen=True)
class MediaFacts:
    """What was decoded.

    Attributes:
      kind: "image" or "video".
      width, height: in pixels, upright.
      fps: frames per second, to show to people; None: a picture, or unknown.
      declared: number of frames that the container states; None: it states none.
      decoded: number of frames that were decoded.
      analysed: the numbers of the frames that were searched for faces, in order.
      duration: in seconds; None: a picture.
      is_long: whether the frames between these were not decoded (`video.Video`).
      warnings: what to know of the file, as sentences without a capital and a full stop.
      shots: what lies between the cuts of a video; empty: a picture, or a long video.
    """

    kind: str
    width: int
    height: int
    fps: float | None = None
    declared: int | None = None
    decoded: int = 1
    analysed: tuple[int, ...] = (0,)
    duration: float | None = None
    is_long: bool = False
    warnings: tuple[str, ...] = ()
    shots: tuple[Shot, ...] = ()


@dataclasses.dataclass(frozen=True)
class ExtractedFace:
    """One face in one frame.

    Attributes:
      frame: its number among the frames that decode, from 0 (`video.Video.indices`).
      time: at which the frame is shown, in seconds from the first one; None: a picture.
      track: the number of its person.
      crop: the face as the model sees it.
    """

    frame: int
    time: float | None
    track: int
    crop: Crop


@dataclasses.dataclass(frozen=True)
class ExtractedFaces:
    """The faces of one file.

    Attributes:
      facts: what was decoded.
      faces: in order of time, within a frame by falling size.
      seconds: spent on "decode", on "detect" and, if there is any, on "evidence".
      evidence: what the file says of its origin; None: it was not read, or there is no file.
    """

    facts: MediaFacts
    faces: tuple[ExtractedFace, ...]
    seconds: dict[str, float]
    evidence: Evidence | None = None

    def with_evidence(self, evidence: Evidence, seconds: float) -> "ExtractedFaces":
        """Returns these faces with the evidence on their file; reading it took `seconds`."""
        return dataclasses.replace(
            self, evidence=evidence, seconds={**self.seconds, "evidence": seconds}
        )


class FaceExtractor:
    """Detects the faces in media and cuts them out by a CropSpec.

    Attributes:
      crop_spec: how faces are cut out. Every face is extracted, even if training saw the largest
        alone: `faces` of the given spec is ignored.
      face_detector: what finds faces; None: the spec takes pictures as they are.
    """

    def __init__(self, spec: CropSpec, *, embed: Callable[[np.ndarray], np.ndarray] | None = None):
        """`embed` returns the embedding of a `detect.face_chip` (`recognition.FaceEmbedder`).

        With it, a person who comes back after a cut or an absence continues the old track.

        Raises:
          FileNotFoundError: the model files of the face detector are missing.
        """
        as_is = spec.crops == "as-is"
        self.crop_spec = spec if as_is else dataclasses.replace(spec, faces="all")
        self.face_detector = None if as_is else FaceDetector(self.crop_spec)
        self._embed = embed

    def file(
        self,
        path: str | os.PathLike,
        *,
        num_frames: int = NUM_FRAMES,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns the faces of a picture or a video, which its first bytes tell apart.

        `progress` is called with the share of frames, 0 to 1, that were searched.

        Raises:
          MediaError: the file cannot be decoded, or is not accepted.
        """
        began = time.perf_counter()
        if media_kind.kind_of(path) == "image":
            picture = media_image.read_picture(path)
            decoding = time.perf_counter() - began
            return self.image(picture.image, decoding=decoding, warnings=picture.warnings)
        video = read_video(path, num_frames)
        return self.video(video, decoding=time.perf_counter() - began, progress=progress)

    def image(
        self, image: np.ndarray, *, decoding: float = 0.0, warnings: Sequence[str] = ()
    ) -> ExtractedFaces:
        """Returns the faces of RGB uint8 [H, W, 3]; decoding it took `decoding` seconds."""
        height, width = image.shape[:2]
        facts = MediaFacts("image", width, height, warnings=tuple(warnings))
        return self._extract([image], [0], [None], facts, self.face_detector, decoding)

    def video(
        self,
        video: media_video.Video,
        *,
        decoding: float = 0.0,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns the faces of a decoded video; decoding it took `decoding` seconds."""
        height, width = video.frames[0].shape[:2]
        facts = MediaFacts(
            "video",
            width,
            height,
            fps=video.fps or None,
            declared=video.num_declared or None,
            decoded=video.num_decoded,
            analysed=tuple(video.indices),
            duration=video.duration,
            is_long=video.is_long,
            warnings=_remarks(video),
            shots=video.shots,
        )
        detector = self.face_detector and VideoFaceDetector(self.face_detector)
        return self._extract(
            video.frames, video.indices, video.times, facts, detector, decoding, progress
        )

    def _extract(
        self,
        frames: Sequence[np.ndarray],
        indices: Sequence[int],
        times: Sequence[float | None],
        facts: MediaFacts,
        detector: FaceDetector | VideoFaceDetector | None,
        decoding: float,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        began, tracker, faces = time.perf_counter(), track.Tracker(track.MAX_GAP), []
        num_crowded = 0
        shot = 0
        for position, frame in enumerate(frames):
            before, shot = shot, media_shots.number_of(facts.shots, indices[position])
            if shot != before:
                tracker.cut()
            crops = self._tracked_crops(detector, tracker, position, frame)
            num_crowded += len(crops) == detect.MAX_FACES
            for number, face_crop in crops:
                faces.append(ExtractedFace(indices[position], times[position], number, face_crop))
            if progress is not None:
                progress((position + 1) / len(frames))
        seconds = {"decode": decoding, "detect": time.perf_counter() - began}
        facts = dataclasses.replace(facts, warnings=facts.warnings + _crowd(num_crowded))
        return ExtractedFaces(facts, tuple(faces), seconds)

    def _tracked_crops(
        self,
        detector: FaceDetector | VideoFaceDetector | None,
        tracker: track.Tracker,
        position: int,
        frame: np.ndarray,
    ) -> list[tuple[int, Crop]]:
        """(track, crop) of every face in a frame."""
        if detector is None:  # the picture is the face
            faces, tracks = [], [0]
        else:
            faces = detector.detect(frame)
            embed = self._embed and functools.partial(self._embed_face, frame)
            tracks = tracker.update(position, faces, embed)
        return list(zip(tracks, cut_as_stored(frame, faces, self.crop_spec), strict=True))

    def _embed_face(self, frame: np.ndarray, face: Face) -> np.ndarray:
        return self._embed(detect.face_chip(frame, face))


def read_video(path: str | os.PathLike, num_frames: int) -> media_video.Video:
    """Returns the frames of a video that are searched for faces; MediaError: it does not decode."""
    return media_video.read_video(path, num_frames, per_shot=FRAMES_PER_SHOT)


def cut_as_stored(image: np.ndarray, faces: Sequence[Face], spec: CropSpec) -> list[Crop]:
    """Returns the crops of `faces` as a prepared dataset of this spec would hold them.

    These are the pixels that a model is trained on, losses of JPEG included; `image` is RGB uint8
    [H, W, 3]. See `faces.crop.cut_faces`.
    """
    return [crop.as_stored(face, spec) for face in crop.cut_faces(image, faces, spec)]


def _remarks(video: media_video.Video) -> tuple[str, ...]:
    if not video.is_long:
        return _left_out(video) + video.warnings + video.damage
    frames, minutes = len(video.frames), f"{video.duration / 60:.0f}"
    long = words.WARNINGS["long"].format(frames=frames, minutes=minutes)
    return (long, *video.warnings, *video.damage)


def _left_out(video: media_video.Video) -> tuple[str, ...]:
    shown = {media_shots.number_of(video.shots, index) for index in video.indices}
    if len(shown) >= len(video.shots):
        return ()
    shots = len(video.shots)
    warning = words.WARNINGS["shots_left_out"]
    return (warning.format(shots=shots, seen=len(shown), frames=FRAMES_PER_SHOT * shots),)


def _crowd(num_frames: int) -> tuple[str, ...]:
    if not num_frames:
        return ()
    return (words.WARNINGS["crowd"].format(faces=detect.MAX_FACES, frames=num_frames),)
