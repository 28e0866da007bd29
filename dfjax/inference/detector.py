"""A model, a face finder and a rule: what turns media into a verdict.

    detector = Detector.load("runs/resnet")
    detector.video("clip.mp4").verdict

Decoding, finding and cutting out are those of `dfjax prepare`, by the CropSpec of the model's card.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dfjax import verdict
from dfjax.faces import detect
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face
from dfjax.inference import scorer
from dfjax.inference.extract import ExtractedFace, ExtractedFaces, FaceExtractor, MediaFacts
from dfjax.inference.scorer import Scorer
from dfjax.media import stream as media_stream
from dfjax.media import video as media_video
from dfjax.media.errors import MediaError
from dfjax.model_card import ModelCard
from dfjax.verdict import FaceScore, Verdict

if TYPE_CHECKING:
    from dfjax.inference import live


@dataclasses.dataclass(frozen=True)
class Result:
    """What a detector found in one picture or video.

    `faces` are in order of time, in a frame by falling size. `media` is None and `error` a
    MediaError where nothing could be decoded. `warnings` are sentences for the reader; `seconds`
    tells where the time went.
    """

    verdict: Verdict
    faces: tuple[FaceScore, ...] = ()
    media: MediaFacts | None = None
    error: MediaError | None = None
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def track_scores(self) -> dict[int, float]:
        """The score of every track that has a usable face."""
        return verdict.track_scores(self.faces)


class Detector:
    """Finds faces, scores them, and gives a verdict with its reason.

    `spec` is what faces are cut out by, `finder` what finds them (None: the model takes pictures as
    they are).
    """

    def __init__(self, scorer: Scorer, *, always_align: bool = False, reidentify: bool = False):
        """`always_align`: find and align faces even if the model was trained on pictures that were
        taken as they are; results then carry a warning, because the model saw other crops.
        `reidentify`: tracks follow a person across cuts and absences, by face recognition.
        """
        self.scorer = scorer
        self.warnings: tuple[str, ...] = ()
        spec = scorer.card.crop_spec
        if spec.crops == "as-is" and always_align:
            spec = CropSpec(size=spec.size, encoding=spec.encoding)
            self.warnings += (
                "the model was trained on pictures taken as they are, and is shown aligned faces",
            )
        if scorer.card.synthetic:
            self.warnings += (
                "the model was trained on the synthetic corpus: its verdicts say nothing about "
                "real faces",
            )
        embed = _make_embed() if reidentify and spec.crops == "align" else None
        self._extractor = FaceExtractor(spec, embed=embed)
        self.reidentify = reidentify
        self.spec, self.finder = self._extractor.spec, self._extractor.finder

    @classmethod
    def load(
        cls, path: str | os.PathLike, *, runtime: str | None = None, **options: bool
    ) -> "Detector":
        """Returns a detector with the model at `path`: a run's workdir or an export's folder.

        `options` are those of the constructor.

        Raises:
          UserError: no model is there, or not for this runtime.
        """
        return cls(scorer.load(path, runtime), **options)

    def file(self, path: str | os.PathLike, *, num_frames: int = 32) -> Result:
        """Returns the result for a picture or video, told apart by suffix; errors are results."""
        try:
            return self.score(self._extractor.file(path, num_frames=num_frames))
        except MediaError as error:
            return failed(error)

    def image(self, image: np.ndarray) -> Result:
        """Returns the result for RGB uint8 [H, W, 3]."""
        return self.score(self._extractor.image(image))

    def video(self, path: str | os.PathLike, *, num_frames: int = 32) -> Result:
        """Returns the result for `num_frames` frames, spread evenly over the video at `path`.

        Raises:
          MediaError: it cannot be decoded.
        """
        began = time.perf_counter()
        video = media_video.read_video(path, num_frames)
        return self.score(self._extractor.video(video, decoding=time.perf_counter() - began))

    def stream(self, source: str, *, search_every: int = 5) -> Iterator["live.LiveResult"]:
        """Yields a result for every frame of a live source that there is time for.

        `source` is a camera's number, an RTSP or HTTP address, or a video, played as if live. Faces
        are searched on every `search_every`-th frame and followed in between.

        Raises:
          MediaError: the source does not open.
          UserError: the model takes pictures as they are.
        """
        from dfjax.inference import live  # stands above this module

        with media_stream.LiveSource(source) as frames:
            yield from live.LiveDetector(self, search_every=search_every).run(frames)

    def frames(self, video: media_video.Video) -> Result:
        """Returns the result for a video that is decoded already."""
        return self.score(self._extractor.video(video))

    def score(self, found: ExtractedFaces) -> Result:
        """Returns the result for faces that `FaceExtractor` found by this detector's `spec`."""
        began = time.perf_counter()
        scores = self.scorer.scores(stack_crops(found.faces, self.spec.size))
        return self.judge(found, scores, seconds=time.perf_counter() - began)

    def judge(self, found: ExtractedFaces, scores: Sequence[float], *, seconds: float) -> Result:
        """Returns the result for faces with these P(fake); `seconds` is what scoring them took."""
        faces = tuple(
            FaceScore(
                frame=face.frame,
                time=face.time,
                track=face.track,
                score=float(score),
                quality=verdict.check_quality(face.crop, self.scorer.card.quality),
                crop=face.crop,
            )
            for face, score in zip(found.faces, scores, strict=True)
        )
        kind, card = found.facts.kind, self.scorer.card
        return Result(
            verdict.judge(faces, kind=kind, card=card),
            faces,
            found.facts,
            warnings=self.warnings + _unfitted(kind, card) + _damage(found.facts),
            seconds={**found.seconds, "score": seconds},
        )


def failed(error: MediaError) -> Result:
    """Returns the result for a file that could not be decoded."""
    return Result(Verdict("inconclusive", None, "decode_error"), error=error)


def _make_embed() -> Callable[[np.ndarray, Face], np.ndarray]:
    from dfjax import recognition

    embedder = recognition.FaceEmbedder()
    return lambda frame, face: embedder.embed(detect.face_chip(frame, face)[None])[0]


def stack_crops(faces: Sequence[ExtractedFace], size: int) -> np.ndarray:
    """Returns the crops of faces as uint8 [N, size, size, 3]; N may be 0."""
    if not faces:
        return np.zeros((0, size, size, 3), np.uint8)
    return np.stack([face.crop.image for face in faces])


def _unfitted(kind: str, card: ModelCard) -> tuple[str, ...]:
    """What to say where the limits of a verdict were fitted to another kind of file."""
    if kind in card.decisions:
        return ()
    files = "videos" if kind == "video" else "pictures"
    return (
        f"the model's limits were not fitted to {files}, of which its validation data had none to "
        "judge: how often it is wrong on them was not measured",
    )


def _damage(facts: MediaFacts) -> tuple[str, ...]:
    if not media_video.is_damaged(facts.decoded, facts.declared or 0):
        return ()
    return (f"only {facts.decoded} of {facts.declared} frames decode: the file is damaged",)
