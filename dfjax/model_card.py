"""What a finished model is and how it decides; travels with the run and with every export.

`evaluate` writes it from the validation split, everything that predicts reads it.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

from dfjax.faces.align import CropSpec

FILE = "model_card.json"
LABELS = ("real", "fake")


@dataclasses.dataclass(frozen=True)
class Decision:
    """How a score becomes a verdict; frozen on the validation split.

    `threshold` parts real from fake. Scores in [low, high) are left undecided: below `low` lie at
    most `error_rate` of the validation fakes, from `high` on at most that share of its reals.
    Where low >= high, nothing is undecided and the threshold alone decides.
    """

    threshold: float
    low: float
    high: float
    error_rate: float

    def decide(self, score: float) -> str | None:
        """Returns "real", "fake", or None where the score is undecided."""
        if self.low >= self.high:
            return LABELS[int(score >= self.threshold)]
        return None if self.low <= score < self.high else LABELS[int(score >= self.high)]


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """The identity of a model and everything a verdict needs beside its weights.

    `model` is its registered name, `arguments` what builds it; crops of `crop_spec` are resized to
    `image_size` inside the model. `decisions` has "frame" and, where clips chose the model,
    "video". A score is sigmoid(logit / temperature). `weights` is the SHA-256 of the unfolded
    variables, `protocol` says on what the model was trained and chosen. `synthetic`: trained on
    drawn faces, so that its verdicts say nothing about real ones.
    """

    model: str
    arguments: dict[str, Any]
    image_size: int
    crop_spec: CropSpec
    decisions: dict[str, Decision]
    weights: str
    step: int
    synthetic: bool
    protocol: dict[str, Any]
    temperature: float = 1.0

    def decision(self, level: str) -> Decision:
        """The decision for "frame" or "video"; a model selected on pictures has one for both."""
        return self.decisions.get(level, self.decisions["frame"])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {
            **dataclasses.asdict(self),
            "labels": list(LABELS),
            "crop_spec": json.loads(self.crop_spec.to_json()),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ModelCard":
        """Returns the card of `to_json`.

        Raises:
          ValueError: a field is missing or unknown, or the labels stand for something else.
        """
        fields = dict(value)
        labels = fields.pop("labels", None)
        if labels != list(LABELS):
            raise ValueError(f"model card has the labels {labels}: dfjax reads {list(LABELS)}")
        names = {field.name for field in dataclasses.fields(cls)}
        if wrong := sorted(names.symmetric_difference(fields)):
            raise ValueError(f"model card lacks or has in excess {wrong}: export the model anew")
        fields["crop_spec"] = CropSpec.from_json(json.dumps(fields["crop_spec"]))
        fields["decisions"] = {k: Decision(**v) for k, v in fields["decisions"].items()}
        return cls(**fields)

    def write(self, folder: str | os.PathLike) -> None:
        """Writes the card into `folder`, whole or not at all."""
        path = pathlib.Path(folder, FILE)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.to_json(), indent=2, sort_keys=True) + "\n")
        temporary.replace(path)


def read(folder: str | os.PathLike) -> ModelCard:
    """Returns the card in `folder`.

    Raises:
      ValueError: there is none, or it is no card of this version.
    """
    path = pathlib.Path(folder, FILE)
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {FILE}: let the run end with its evaluation "
            "(python -m dfjax.main --mode=evaluate), or give an export"
        )
    return ModelCard.from_json(json.loads(path.read_text()))
