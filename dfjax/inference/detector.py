"""A model, a face detector and a rule: what turns media into a verdict.

    detector = Detector.load()  # the one that comes with dfjax; or load("runs/resnet")
    detector.video("clip.mp4").verdict

Media are decoded, and faces detected and cut out, as `dfjax prepare` does it, by the CropSpec of
the model's card. What draws, reports or prints stands above this module.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from dfjax import verdict, words
from dfjax.evidence import content_credentials, gather
from dfjax.evidence.gather import Evidence
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import extract, scorer
from dfjax.inference.extract import ExtractedFace, ExtractedFaces, FaceExtractor, MediaFacts
from dfjax.inference.scorer import Scorer
from dfjax.media.errors import MediaError
from dfjax.model_card import INCONCLUSIVE, ModelCard
from dfjax.verdict import FaceScore, Moment, Verdict
from dfjax.weights import shipped


@dataclasses.dataclass(frozen=True)
class Result:
    """The result for one picture or video.

    Attributes:
      verdict: on the file.
      faces: in order of time, within a frame by falling size.
      media: what was decoded; None: nothing could be.
      evidence: what the file says of its origin, which the verdict does not depend on; None: it
        was not read, or there is no file.
      error: why nothing could be decoded; else None.
      warnings: sentences for the reader, without a capital and a full stop.
      seconds: spent on each stage.
    """

    verdict: Verdict
    faces: tuple[FaceScore, ...] = ()
    media: MediaFacts | None = None
    error: MediaError | None = None
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    evidence: Evidence | None = None

    @property
    def kind(self) -> str:
        """The kind of file, "image" or "video"; "image" if nothing could be decoded."""
        return self.media.kind if self.media else "image"

    @property
    def track_scores(self) -> dict[int, float]:
        """The score of every track that has a usable face."""
        return verdict.track_scores(self.faces)


class Detector:
    """Detects faces, scores them, and returns a verdict with its reason.

    Attributes:
      scorer: the model.
      crop_spec: how faces are cut out.
      face_detector: what finds faces; None: the model takes pictures as they are.
      reidentify: tracks follow a person across cuts and absences.
      embed: what `FaceExtractor` recognizes persons by; None: it does not.
      trust_list: the issuers of content credentials that are trusted, in PEM; None: none is given.
      warnings: what to know of every verdict, as in `Result`.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        always_align: bool = False,
        reidentify: bool = False,
        trust_list: str | os.PathLike | None = None,
    ):
        """`always_align`: detect and align faces even if the model was trained on pictures as they
        are. Results then carry a warning, because the model was trained on other crops.
        `reidentify`: tracks follow a person across cuts and absences, by face recognition.
        `trust_list`: a file of certificates in PEM; content credentials under them are trusted.

        Raises:
          UserError: `trust_list` holds no certificates, or nothing is installed that uses them.
        """
        self.scorer = scorer
        self.trust_list = (
            None if trust_list is None else content_credentials.read_trust_list(trust_list)
        )
        self.warnings: tuple[str, ...] = ()
        spec = scorer.card.crop_spec
        if spec.crops == "as-is" and always_align:
            spec = CropSpec(size=spec.size, encoding=spec.encoding)
            self.warnings += (words.WARNINGS["aligned"],)
        if scorer.card.synthetic:
            self.warnings += (words.WARNINGS["synthetic"],)
        if not scorer.has_heat_maps:
            self.warnings += (words.WARNINGS["no_heat_maps"],)
        self.embed = _make_embed() if reidentify and spec.crops == "align" else None
        self._extractor = FaceExtractor(spec, embed=self.embed)
        self.reidentify = reidentify
        self.crop_spec = self._extractor.crop_spec
        self.face_detector = self._extractor.face_detector

    @classmethod
    def load(
        cls,
        path: str | os.PathLike = shipped.DETECTOR,
        *,
        runtime: str | None = None,
        expect: str | None = None,
        **options: bool | str | os.PathLike | None,
    ) -> "Detector":
        """Returns a detector with the model at `path`: a run's workdir or an export's folder.

        Without a path it is the one that comes with dfjax.
        `runtime` and `expect` are as in `scorer.load`, `options` are those of the constructor.

        Raises:
          UserError: there is no model, none for this runtime, or another one than expected.
        """
        return cls(scorer.load(path, runtime, expect=expect), **options)

    def file(self, path: str | os.PathLike, *, num_frames: int = extract.NUM_FRAMES) -> Result:
        """Returns the result for a picture or a video, which its first bytes tell apart.

        A file that cannot be decoded is a result, too: its `error` says why.
        """
        try:
            extracted = self._extractor.file(path, num_frames=num_frames)
        except MediaError as error:
            return failed(error)
        began = time.perf_counter()
        evidence = gather.read(path, trust_list=self.trust_list)
        return self.score(extracted.with_evidence(evidence, time.perf_counter() - began))

    def image(self, image: np.ndarray) -> Result:
        """Returns the result for RGB uint8 [H, W, 3]."""
        return self.score(self._extractor.image(image))

    def video(self, path: str | os.PathLike, *, num_frames: int = extract.NUM_FRAMES) -> Result:
        """Returns the result for `num_frames` frames, spread over the shots of a video.

        Raises:
          MediaError: it cannot be decoded.
        """
        began = time.perf_counter()
        video = extract.read_video(path, num_frames)
        return self.score(self._extractor.video(video, decoding=time.perf_counter() - began))

    def score(self, extracted: ExtractedFaces) -> Result:
        """Returns the result for faces that a `FaceExtractor` cut out by this `crop_spec`."""
        began = time.perf_counter()
        outputs = self.scorer.outputs(stack_crops(extracted.faces, self.crop_spec.size))
        return self.judge(extracted, outputs, seconds=time.perf_counter() - began)

    def judge(self, extracted: ExtractedFaces, outputs: np.ndarray, *, seconds: float) -> Result:
        """Returns the result for faces of which `Scorer.outputs` said this in so many `seconds`."""
        faces = self.face_scores(extracted.faces, outputs)
        kind, card = extracted.facts.kind, self.scorer.card
        return Result(
            verdict.judge(faces, kind=kind, card=card),
            faces,
            extracted.facts,
            warnings=self.warnings + _unfitted(kind, card) + extracted.facts.warnings,
            seconds={**extracted.seconds, "score": seconds},
            evidence=extracted.evidence,
        )

    def face_scores(
        self, faces: Sequence[ExtractedFace], outputs: np.ndarray
    ) -> tuple[FaceScore, ...]:
        """Returns faces with their P(fake) and with what, if anything, is wrong with each.

        `outputs` [N, 3] are what `Scorer.outputs` said of them.
        """
        card = self.scorer.card
        logits, strangeness, attention = outputs.T
        scores = card.score(logits)
        weights = card.weigh(scores, attention)
        return tuple(
            FaceScore(
                frame=face.frame,
                time=face.time,
                track=face.track,
                score=float(score),
                quality=verdict.check_quality(face.crop, card.quality, strange),
                crop=face.crop,
                weight=float(weight),
            )
            for face, score, strange, weight in zip(
                faces, scores, strangeness, weights, strict=True
            )
        )

    def judge_tracks(self, result: Result) -> dict[int, Verdict]:
        """Returns the verdict on each track of a result, by track number."""
        return verdict.judge_tracks(result.faces, kind=result.kind, card=self.scorer.card)

    def judge_shots(self, result: Result) -> list[Verdict]:
        """Returns the verdict on each shot of a result; [] for a picture and a long video."""
        shots = result.media.shots if result.media else ()
        return verdict.judge_shots(result.faces, shots, card=self.scorer.card)

    def moments(self, result: Result) -> list[Moment]:
        """Returns where the tracks of a video look manipulated by themselves, in order of time."""
        return verdict.moments(result.faces, kind=result.kind, card=self.scorer.card)

    def heat_maps(self, faces: Sequence[FaceScore]) -> np.ndarray | None:
        """Returns heat maps of faces, float32 [N, h, w] in 0..1; None: no face, or no heat maps."""
        if not faces:
            return None
        return self.scorer.heat_maps(stack_crops(faces, self.crop_spec.size))


def failed(error: MediaError) -> Result:
    """Returns the result for a file that could not be decoded."""
    return Result(Verdict(INCONCLUSIVE, None, "decode_error"), error=error)


def stack_crops(faces: Sequence[ExtractedFace | FaceScore], size: int) -> np.ndarray:
    """Returns the crops of faces as uint8 [N, size, size, 3]; N may be 0."""
    if not faces:
        return np.zeros((0, size, size, 3), np.uint8)
    return np.stack([face.crop.image for face in faces])


def _make_embed() -> Callable[[np.ndarray], np.ndarray]:
    from dfjax import recognition

    embedder = recognition.FaceEmbedder()
    return lambda chip: embedder.embed(chip[None])[0]


def _unfitted(kind: str, card: ModelCard) -> tuple[str, ...]:
    """A warning if the limits of a verdict were fitted to another kind of file, or to few."""
    if kind not in card.decisions:
        return (words.WARNINGS[f"{kind}_not_fitted"],)
    decision = card.decisions[kind]
    return (words.WARNINGS["few_fitted"].format(**decision.fitted_on),) * decision.rests_on_few
