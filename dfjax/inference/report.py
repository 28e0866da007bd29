"""A result as JSON: one report for the command line, the server and its jobs.

`report.schema.json` describes it, and `page` shows it to people. Prints nothing.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import platform
from typing import Any

import numpy as np

from dfjax import files, verdict, versions
from dfjax.evidence import content_credentials
from dfjax.inference import draw
from dfjax.inference.detector import Detector, Result
from dfjax.media import image as media_image
from dfjax.model_card import INCONCLUSIVE
from dfjax.verdict import Verdict

SCHEMA = "dfjax.report/1"
SCHEMA_FILE = pathlib.Path(__file__).with_name("report.schema.json")

HEADLINES = {
    "real": "No sign of manipulation found",
    "fake": "Probably manipulated",
    INCONCLUSIVE: "No verdict",
}
MEANINGS = {
    "real": "The model sees no sign of manipulation in the faces it could judge. That does not "
    "prove that the file is genuine: the model looks at faces alone, and may miss methods it does "
    "not know.",
    "fake": "The model takes at least one face for manipulated. It can be wrong: check where the "
    "file comes from, and do not take this as proof.",
    INCONCLUSIVE: "The model cannot tell: the file may be genuine or manipulated. This is not a "
    "place halfway between the two. A larger, sharper or longer copy may allow a verdict.",
    "unlike_training": "The model did not learn from faces like these, so a score would mean "
    "nothing: they may be drawn, turned, altered by a filter or no faces at all. A model that was "
    "trained on such pictures may tell.",
    "decode_error": "The model did not see the file, so nothing is said about it. Use the "
    "original, or save the file again.",
}

NUM_STRONGEST = 4  # faces that are shown, with their heat maps
_VERSIONS = ("dfjax", "jax", "numpy", "opencv-python-headless", "av", "dlib-bin")


@dataclasses.dataclass(frozen=True)
class Source:
    """The file that a report is on.

    Attributes:
      name: what the user calls it.
      sha256: of its content; None: it cannot be read.
      bytes: its size; None: it cannot be read.
    """

    name: str
    sha256: str | None
    bytes: int | None

    @classmethod
    def of_file(cls, path: str | os.PathLike, *, name: str) -> "Source":
        """Returns the source at `path`, which the user calls `name`."""
        if not os.path.isfile(path):  # reading a pipe may never end
            return cls(name, None, None)
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return cls(name, digest, file.tell())
        except OSError:
            return cls(name, None, None)


def make_report(
    result: Result, detector: Detector, source: Source, settings: dict[str, Any]
) -> dict[str, Any]:
    """Returns the report on a result as JSON; `settings` are the user's choices.

    Times are in seconds, boxes x0, y0, x1, y1 in pixels of the upright frame. Pictures of the
    strongest faces and their heat maps are `data:` URIs.
    """
    return {
        "schema": SCHEMA,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "media": {
            **dataclasses.asdict(source),
            **_facts(result),
        },
        "verdict": {
            **_verdict(result.verdict),
            "headline": HEADLINES[result.verdict.label],
            "text": explain_verdict(result),
            "cause": _cause(result),
            "meaning": _meaning(result.verdict),
        },
        "score_meaning": verdict.SCORE_MEANING,
        "rule": verdict.RULE,
        "evidence": None if result.evidence is None else result.evidence.to_report(),
        "tracks": _tracks(result, detector),
        "timeline": _timeline(result),
        "strongest": _strongest(result, detector),
        "warnings": list(result.warnings),
        "error": None
        if result.error is None
        else {"code": result.error.code, "message": str(result.error)},
        "model": _model(result, detector),
        "settings": settings,
        "versions": {
            "python": platform.python_version(),
            **{
                package: versions.installed_version(package)
                for package in (*_VERSIONS, content_credentials.PACKAGE)
            },
        },
        "seconds": {stage: round(value, 4) for stage, value in result.seconds.items()},
    }


def _verdict(judged: Verdict) -> dict[str, Any]:
    return {"label": judged.label, "score": judged.score, "reason": judged.reason}


def explain_verdict(result: Result) -> str:
    """Returns the verdict in one or two sentences for people."""
    score, cause = result.verdict.score, _cause(result)
    likelihood = "" if score is None else f" Likelihood of manipulation: {verdict.percent(score)}."
    because = "" if cause is None else f": {cause}"
    return f"{HEADLINES[result.verdict.label]}{because}.{likelihood}"


def _cause(result: Result) -> str | None:
    """Why there is no verdict, in words; None: there is one."""
    if result.error is not None:
        return str(result.error)
    return verdict.REASONS.get(result.verdict.reason)


def _meaning(judged: Verdict) -> str:
    """What a verdict does and does not say: by its reason, where there is more to say of that."""
    return MEANINGS.get(judged.reason) or MEANINGS[judged.label]


def _facts(result: Result) -> dict[str, Any]:
    facts = result.media
    if facts is None:
        empty = dict.fromkeys(("kind", "width", "height", "fps", "duration_s"))
        return {**empty, "frames": {"declared": None, "decoded": 0, "analysed": 0}}
    return {
        "kind": facts.kind,
        "width": facts.width,
        "height": facts.height,
        "fps": facts.fps,
        "duration_s": facts.duration,
        "frames": {
            "declared": facts.declared,
            "decoded": facts.decoded,
            "analysed": facts.analysed,
        },
    }


def _model(result: Result, detector: Detector) -> dict[str, Any]:
    card = detector.scorer.card.to_json()
    return {
        "name": card["model_name"],
        "release": card["release"],
        "weights": card["weights"],
        "step": card["step"],
        "runtime": detector.scorer.runtime,
        "decision": _decision(result, detector),
        "temperature": card["temperature"],
        "synthetic": card["synthetic"],
        "image_size": card["image_size"],
        "crop_spec": detector.crop_spec.to_json(),
        "protocol": card["protocol"],
    }


def _decision(result: Result, detector: Detector) -> dict[str, float]:
    """What the score of this file was compared with, or would have been."""
    decision = detector.scorer.card.decision(result.kind)
    longest = decision.limits[-1]
    low, high = result.verdict.bounds or (longest.low, longest.high)
    return {
        "threshold": decision.threshold,
        "low": low,
        "high": high,
        "error_rate": decision.error_rate,
    }


def _tracks(result: Result, detector: Detector) -> list[dict[str, Any]]:
    tracks = []
    for number, judged in detector.judge_tracks(result).items():
        faces = [face for face in result.faces if face.track == number]
        tracks.append(
            {
                "track": number,
                **_verdict(judged),
                "faces": len(faces),
                "usable": sum(face.quality is None for face in faces),
                "first_s": faces[0].time,
                "last_s": faces[-1].time,
            }
        )
    return tracks


def _timeline(result: Result) -> list[dict[str, Any]]:
    frames: dict[int, dict[str, Any]] = {}
    for face in result.faces:
        entry = frames.setdefault(
            face.frame, {"frame": face.frame, "time_s": face.time, "faces": []}
        )
        entry["faces"].append(
            {
                "track": face.track,
                "box": [round(float(side), 1) for side in face.crop.box],
                "score": face.score,
                "quality": face.quality,
            }
        )
    return list(frames.values())


def _strongest(result: Result, detector: Detector) -> list[dict[str, Any]]:
    """The usable faces with the highest scores, highest first."""
    usable = [face for face in result.faces if face.quality is None]
    faces = sorted(usable, key=lambda face: -face.score)[:NUM_STRONGEST]
    heat_maps = detector.heat_maps(faces)
    if heat_maps is None:
        heat_maps = [None] * len(faces)
    return [
        {
            "frame": face.frame,
            "time_s": face.time,
            "track": face.track,
            "score": face.score,
            "crop": media_image.data_uri(face.crop.image),
            "heat_map": _heat_uri(face.crop.image, heat),
        }
        for face, heat in zip(faces, heat_maps, strict=True)
    ]


def _heat_uri(image: np.ndarray, heat: np.ndarray | None) -> str | None:
    return None if heat is None else media_image.data_uri(draw.overlay(image, heat))


def write_json(report: dict[str, Any], path: str | os.PathLike) -> None:
    """Writes a report, whole or not at all.

    Raises:
      ValueError: it holds a number that JSON lacks.
    """
    files.replace_text(path, json.dumps(report, indent=2, allow_nan=False) + "\n")
