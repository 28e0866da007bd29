"""What a finished model is and how it decides; travels with the run and with every export.

`evaluate` writes it from the validation split, everything that predicts reads it. Only this file
turns a logit into a score, and a score into a label.
"""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from dfjax import compatibility, files, logistic, pooling
from dfjax.corpora.clip import LABELS
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec

FILE = "model_card.json"
INCONCLUSIVE = "inconclusive"
VERDICTS = (*LABELS, INCONCLUSIVE)
STRICTER = (0.01, 0.001)  # shares of the reals that reach the limits of `Decision.stricter`
FORGERIES = ("face swap", "reenactment", "retouching", "whole generated face")
_CONFIDENCE = 0.95  # with which they are that small, however few reals were fitted on


@dataclasses.dataclass(frozen=True)
class QualityLimits:
    """What a face needs to be judged; beyond a limit it is left out of the verdict on a file.

    The defaults are loose on purpose: poor faces are still scored.

    Attributes:
      max_enlargement: crop pixels per frame pixel; beyond it the crop is mostly interpolation.
      min_brightness, max_brightness: mean luma, 0 to 255.
      min_sharpness: variance of the Laplacian of the luma at 128 px; 4 is a blur of about 3 pixels.
      max_strangeness: how unlike the training data a face may be (`familiarity`); None: no gate.
    """

    max_enlargement: float = 3.0
    min_brightness: float = 15.0
    max_brightness: float = 235.0
    min_sharpness: float = 4.0
    max_strangeness: float | None = None

    def check(
        self, *, scale: float, brightness: float, sharpness: float, strangeness: float
    ) -> str | None:
        """Returns why a crop cannot be judged, a key of `words.REASONS`, or None if it can."""
        if scale > self.max_enlargement:
            return "too_small"
        if not self.min_brightness <= brightness <= self.max_brightness:
            return "too_dark"
        if sharpness < self.min_sharpness:
            return "too_blurred"
        return "unlike_training" if self.is_strange(strangeness) else None

    def is_strange(self, strangeness: float) -> bool:
        """Returns whether a face is unlike the training data; one of NaN is, if there is a gate."""
        return self.max_strangeness is not None and not strangeness <= self.max_strangeness


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the score of a track of `frames` usable faces is compared with.

    Attributes:
      frames: the smallest number of usable faces that these limits are for.
      low: below it the label is "real".
      high: from it on the label is "fake"; between both, inconclusive.
      real_spread: the standard deviation of the logits of real tracks, from which `Decision.bounds`
        knows how much further out the largest of several lies.
    """

    frames: int
    low: float
    high: float
    real_spread: float


@dataclasses.dataclass(frozen=True)
class Decision:
    """How the scores of one kind of input become verdicts; frozen on the validation split.

    Attributes:
      error_rate: of the validation fakes at most this share was called real, and of the validation
        reals at most this share was called fake.
      threshold: the one score that separates real from fake if nothing may stay inconclusive: the
        highest balanced accuracy, moved into the band (an empty one: to where both rates hold).
      threshold_interval: holds 95 % of the thresholds of resampled validation clips.
      limits: for rising numbers of frames. The mean of few scores varies more than that of many,
        so the band is wider for few.
      fitted_on: numbers of "real" and "fake" files (or crops), and "frames": the median number of
        usable faces of a track.
    """

    error_rate: float
    threshold: float
    threshold_interval: tuple[float, float]
    limits: tuple[Limits, ...]
    fitted_on: dict[str, int]

    @property
    def rests_on_few(self) -> bool:
        """Whether so few files were fitted on that one error is more than the error rate."""
        counts = [self.fitted_on[label] for label in LABELS if label in self.fitted_on]
        return bool(counts) and min(counts) * self.error_rate < 1

    def bounds(self, num_frames: int = 1, num_tracks: int = 1) -> tuple[float, float]:
        """Returns the scores (low, high) that a track is compared with.

        A number of usable faces, `num_frames`, between two fitted ones counts as the smaller. Each
        of `num_tracks` tracks of a file can be called fake by mistake: `high` moves to where each
        has its share of the error rate (Bonferroni), along a normal distribution of logits.
        """
        limits = self._limits(num_frames)
        if num_tracks == 1:
            return limits.low, limits.high
        of_one = logistic.normal_quantile(1 - self.error_rate)
        of_several = logistic.normal_quantile(1 - self.error_rate / num_tracks)
        shift = limits.real_spread * (of_several - of_one)
        high = logistic.to_score(logistic.to_logit(limits.high) + shift)
        # Rounding to a score and back must not move it inwards.
        return limits.low, max(limits.high, float(high))

    def _limits(self, num_frames: int) -> Limits:
        fitting = [limits for limits in self.limits if limits.frames <= num_frames]
        return fitting[-1] if fitting else self.limits[0]

    def stricter(self, num_frames: int = 1, num_tracks: int = 1) -> tuple[float, ...]:
        """Returns the scores that at most the shares `STRICTER` of real files reach.

        Too few reals are fitted on to see such shares. So these are upper tolerance limits of a
        normal distribution of the logits of reals, with 95 % confidence (Natrella 1963, 2-14), and
        never below `bounds`. The numbers are those of `bounds`.
        """
        _, high = self.bounds(num_frames, num_tracks)
        spread, reals = self._limits(num_frames).real_spread, max(2, self.fitted_on.get("real", 2))
        fitted = logistic.normal_quantile(1 - self.error_rate / num_tracks)
        return tuple(
            float(logistic.to_score(logistic.to_logit(high) + spread * max(0.0, factor - fitted)))
            for factor in (_tolerance(share / num_tracks, reals) for share in STRICTER)
        )

    def moment_limit(self, num_frames: int, length: int, num_tracks: int = 1) -> float:
        """Returns the mean from which `length` faces in a row of a track are a moment.

        It is the limit of a track of that length, as if each such part of the `num_frames` faces
        of each of `num_tracks` tracks were a track of its own.
        """
        return self.bounds(length, max(1, num_frames // length) * num_tracks)[1]

    def decide(self, score: float, num_frames: int = 1, num_tracks: int = 1) -> str:
        """Returns one of `VERDICTS` for the score of a track; the numbers are those of `bounds`."""
        low, high = self.bounds(num_frames, num_tracks)
        return INCONCLUSIVE if low <= score < high else LABELS[int(score >= high)]


def _tolerance(share: float, count: int) -> float:
    """How many standard deviations above the mean of `count` values hardly a `share` lies."""
    quantile = logistic.normal_quantile(1 - share)
    margin = logistic.normal_quantile(_CONFIDENCE) * math.sqrt((1 + quantile**2 / 2) / count)
    return quantile + margin


@dataclasses.dataclass(frozen=True)
class Embedding:
    """How strangeness is computed; `QualityLimits.max_strangeness` is what it is compared with.

    Attributes:
      method: in words.
      maps: parts of the network, and cells per side of the grid over their maps (`familiarity`).
      statistics: SHA-256 of those of a run (`familiarity.store`); exports have them in artefacts.
      fitted_on: numbers of crops: "training", "strangers", and "held_out", which set the limit.
    """

    method: str
    maps: tuple[tuple[str, int], ...]
    statistics: str
    fitted_on: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Isotonic:
    """P(fake) by score as validation crops show it; straight between points, level beyond them.

    It holds for the share of fakes of the validation split, and decides nothing.

    Attributes:
      score, probability: of each point; neither ever falls.

    Raises:
      ValueError: they are no such table.
    """

    score: tuple[float, ...]
    probability: tuple[float, ...]

    def __post_init__(self) -> None:
        points = np.array([self.score, self.probability], np.float64)
        if not (points.size and (np.diff(points) >= 0).all() and np.ptp([0, 1, *points.flat]) == 1):
            raise ValueError("isotonic is no rising table from 0..1 to 0..1")

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Returns P(fake), float64, of scores (`ModelCard.score`)."""
        return np.interp(score, self.score, self.probability)


@dataclasses.dataclass(frozen=True)
class Release:
    """What a model that was published says of itself, wherever it judges.

    Attributes:
      name: what its publisher calls it.
      trained_on: the data, in words.
      terms: what it may be used for.
      forgeries: those of `FORGERIES` that it was shown; (): it does not say.
    """

    name: str
    trained_on: str
    terms: str
    forgeries: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Returns all of it as one line."""
        return f"judged by {self.name}, trained on {self.trained_on}; {self.terms}"


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """The identity of a model and everything a verdict needs in addition to its weights.

    Attributes:
      model_name: as registered in `models`.
      model_arguments: what it is built with.
      image_size: crops of `crop_spec` are resized to this side inside the model.
      decisions: by kind of input. "frame" is one crop by itself. "image" and "video" are files as
        `verdict.judge` sees them; a kind that the validation split did not contain is missing.
      weights: SHA-256 of the unfolded variables.
      step: updates that the model was trained for.
      synthetic: trained on drawn faces; its verdicts say nothing about real ones.
      protocol: the data that the model was trained and selected on.
      temperature: a score is sigmoid(logit / temperature).
      quality: what a face needs to count.
      min_video_frames: usable faces that a track of a video needs for a verdict.
      pooling: one of `pooling.RULES`: how much each usable face counts in the score of its track.
      embedding: how faces unlike the training data are told; None: they are not.
      isotonic: what share of crops with a score is fake; None: not fitted, as of earlier cards.
      release: who it is to others; None: it was not published.
    """

    model_name: str
    model_arguments: dict[str, Any]
    image_size: int
    crop_spec: CropSpec
    decisions: dict[str, Decision]
    weights: str
    step: int
    synthetic: bool
    protocol: dict[str, Any]
    temperature: float = 1.0
    quality: QualityLimits = QualityLimits()
    min_video_frames: int = 3
    pooling: str = "mean"
    embedding: Embedding | None = None
    isotonic: Isotonic | None = None
    release: Release | None = None

    @property
    def name(self) -> str:
        """What to call the model: as it was published, or else its network."""
        return self.release.name if self.release else self.model_name

    def score(self, logit: np.ndarray) -> np.ndarray:
        """Returns P(fake) in 0..1, float64, of logits."""
        return logistic.to_score(logit, self.temperature)

    def weigh(self, score: np.ndarray, attention: np.ndarray) -> np.ndarray:
        """Returns how much crops count in the score of their track (`pooling.weights`)."""
        return pooling.weights(self.pooling, score, attention)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the network says of a crop, as `inference.network.OUTPUTS` names it."""
        has_attention = bool(self.model_arguments.get("clip_attention"))
        said = {"logit": True, "strangeness": bool(self.maps), "attention": has_attention}
        return tuple(name for name, is_there in said.items() if is_there)

    @property
    def maps(self) -> tuple[tuple[str, int], ...]:
        """The maps that strangeness is computed from; () without a gate."""
        return () if self.embedding is None else self.embedding.maps

    def decision(self, kind: str) -> Decision:
        """Returns the decision for "frame", "image" or "video", or the nearest that the model has.

        Limits of fewer frames are wider, so a model that was selected on pictures is cautious about
        videos.
        """
        nearest = {"video": ("video", "image"), "image": ("image",), "frame": ()}[kind]
        fitted = [name for name in nearest if name in self.decisions]
        return self.decisions[fitted[0] if fitted else "frame"]

    def decide_crop(self, score: float, strangeness: float) -> str:
        """Returns one of `VERDICTS` for a crop by itself."""
        if self.quality.is_strange(strangeness):
            return INCONCLUSIVE
        return self.decision("frame").decide(float(score))

    def digest(self) -> str:
        """Returns the SHA-256 of everything in the card: another decision is another digest."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON, which `from_json` reads back."""
        return {
            "format": compatibility.CARD.current,
            **dataclasses.asdict(self),
            "labels": list(LABELS),
            "crop_spec": self.crop_spec.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], where: object = "it") -> "ModelCard":
        """Returns the card of what `to_json` returned; error messages call it `where`.

        Raises:
          UserError: another format, a field missing or unknown, or labels that mean something else;
            the message says what to do.
        """
        fields = {"isotonic": None, "release": None, **value}
        if compatibility.CARD.require(fields.pop("format", None), where) < 3:
            fields["pooling"] = "mean"
        labels = fields.pop("labels", None)
        if labels != list(LABELS):
            raise UserError(f"{where} has the labels {labels}: dfjax reads {list(LABELS)}")
        names = {field.name for field in dataclasses.fields(cls)}
        if wrong := sorted(names.symmetric_difference(fields)):
            raise compatibility.CARD.unreadable(where, f"it lacks or has in excess {wrong}")
        try:
            pooling.require_known(fields["pooling"])
            fields["crop_spec"] = CropSpec.from_json(fields["crop_spec"])
            fields["decisions"] = {k: _read_decision(v) for k, v in fields["decisions"].items()}
            fields["quality"] = QualityLimits(**fields["quality"])
            fields["isotonic"] = _read_isotonic(fields["isotonic"])
            fields["release"] = _read_release(fields["release"])
            fields["embedding"] = _read_embedding(fields["embedding"])
        except (ValueError, TypeError, KeyError) as error:
            raise compatibility.CARD.unreadable(where, error) from error
        return cls(**fields)

    def write(self, folder: str | os.PathLike) -> None:
        """Writes the card into `folder`, whole or not at all."""
        files.replace_json(pathlib.Path(folder, FILE), self.to_json(), sort_keys=True)


def _read_decision(value: dict[str, Any]) -> Decision:
    limits = tuple(Limits(**fields) for fields in value["limits"])
    interval = tuple(value["threshold_interval"])
    return Decision(**{**value, "limits": limits, "threshold_interval": interval})


def _read_release(value: dict[str, Any] | None) -> Release | None:
    if value is None:
        return None
    return Release(**{**value, "forgeries": tuple(value.get("forgeries", ()))})


def _read_isotonic(value: dict[str, Any] | None) -> Isotonic | None:
    return None if value is None else Isotonic(**{k: tuple(v) for k, v in value.items()})


def _read_embedding(value: dict[str, Any] | None) -> Embedding | None:
    if value is None:
        return None
    return Embedding(**{**value, "maps": tuple(map(tuple, value["maps"]))})


def read(folder: str | os.PathLike) -> ModelCard:
    """Returns the card in `folder`; UserError: there is none, or this version does not read it."""
    path = pathlib.Path(folder, FILE)
    if not path.is_file():
        raise UserError(
            f"{folder} has no {FILE}: evaluate the run first (dfjax evaluate --model {folder}), or "
            "give an export"
        )
    return ModelCard.from_json(json.loads(path.read_text()), path)
