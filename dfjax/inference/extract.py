"""Who is seen in a file: media to tracked face crops, the half of detection that needs no model.

Imports no JAX, so that a server can have it done in a process of its own (`media.sandbox`).
"""

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from dfjax.faces import align, crop, track
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import image as media_image
from dfjax.media import suffix
from dfjax.media import video as media_video


@dataclasses.dataclass(frozen=True)
class MediaFacts:
    """What was decoded; `kind` is "image" or "video", the counts are of frames."""

    kind: str
    width: int
    height: int
    fps: float | None = None
    declared: int | None = None
    decoded: int = 1
    analysed: int = 1


@dataclasses.dataclass(frozen=True)
class ExtractedFace:
    """One face in one frame.

    `frame` counts the frames that decode, `time` is its second in the video (None: a picture, or a
    video without a rate), `track` the person.
    """

    frame: int
    time: float | None
    track: int
    crop: Crop


@dataclasses.dataclass(frozen=True)
class ExtractedFaces:
    """What was decoded and who was seen, in order of time, in a frame by falling size.

    `seconds` has what "decode" and "detect" took.
    """

    facts: MediaFacts
    faces: tuple[ExtractedFace, ...]
    seconds: dict[str, float]


class FaceExtractor:
    """Searches media for faces and cuts them out as a CropSpec says; its `faces` is not looked at:
    a verdict looks at everybody, also where training looked at one subject per picture.
    """

    def __init__(
        self, spec: CropSpec, *, embed: Callable[[np.ndarray, Face], np.ndarray] | None = None
    ):
        """`embed` gives the embedding of a face of a frame (`recognition.FaceEmbedder`): whoever
        comes back, after a cut or an absence, then continues an old track.

        Raises:
          FileNotFoundError: the model files of the finder are missing.
        """
        as_is = spec.crops == "as-is"
        self.spec = spec if as_is else dataclasses.replace(spec, faces="all")
        self.finder = None if as_is else FaceDetector(self.spec)
        self._embed = embed

    def file(
        self,
        path: str | os.PathLike,
        *,
        num_frames: int = 32,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns who is seen in a picture or video, told apart by suffix.

        `progress` is called with the share, 0 to 1, of the frames that are searched.

        Raises:
          MediaError: the file cannot be decoded, or its suffix is not accepted.
        """
        began = time.perf_counter()
        if suffix.kind_of(path) == "image":
            picture = media_image.read_image(path)
            return self.image(picture, decoding=time.perf_counter() - began)
        video = media_video.read_video(path, num_frames)
        return self.video(video, decoding=time.perf_counter() - began, progress=progress)

    def image(self, image: np.ndarray, *, decoding: float = 0.0) -> ExtractedFaces:
        """Returns who is seen in RGB uint8 [H, W, 3]; `decoding` is seconds spent on it already."""
        height, width = image.shape[:2]
        facts = MediaFacts("image", width, height)
        return self._search([image], [0], [None], facts, self.finder, decoding)

    def video(
        self,
        video: media_video.Video,
        *,
        decoding: float = 0.0,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        """Returns who is seen in a video that is decoded already."""
        height, width = video.frames[0].shape[:2]
        facts = MediaFacts(
            "video",
            width,
            height,
            fps=video.fps or None,
            declared=video.num_declared or None,
            decoded=video.num_decoded,
            analysed=len(video.frames),
        )
        times = [index / video.fps if video.fps else None for index in video.indices]
        finder = self.finder and VideoFaceDetector(self.finder)
        return self._search(video.frames, video.indices, times, facts, finder, decoding, progress)

    def _search(
        self,
        frames: Sequence[np.ndarray],
        indices: Sequence[int],
        times: Sequence[float | None],
        facts: MediaFacts,
        finder: FaceDetector | VideoFaceDetector | None,
        decoding: float,
        progress: Callable[[float], None] | None = None,
    ) -> ExtractedFaces:
        began, tracker, found = time.perf_counter(), track.Tracker(track.MAX_GAP), []
        for position, frame in enumerate(frames):
            for number, each in self._faces(finder, tracker, position, frame):
                found.append(ExtractedFace(indices[position], times[position], number, each))
            if progress is not None:
                progress((position + 1) / len(frames))
        seconds = {"decode": decoding, "detect": time.perf_counter() - began}
        return ExtractedFaces(facts, tuple(found), seconds)

    def _faces(
        self,
        finder: FaceDetector | VideoFaceDetector | None,
        tracker: track.Tracker,
        position: int,
        frame: np.ndarray,
    ) -> list[tuple[int, Crop]]:
        """(track, crop) of every face of a frame."""
        if finder is None:
            return [(0, crop.as_stored(align.resize_crop(frame, self.spec), self.spec))]
        faces, embed = finder.detect(frame), None
        if self._embed is not None:
            embed = functools.partial(self._embed, frame)
        crops = [
            crop.as_stored(align.align_face(frame, f.landmarks, f.box, self.spec), self.spec)
            for f in faces
        ]
        return list(zip(tracker.update(position, faces, embed), crops, strict=True))
