"""What is handed to people and programs: one report for the command line, the server and its jobs.

`make_report` gives plain JSON that `report.schema.json` describes; `render_html` the same as a page
that needs nothing beside itself.
"""

import base64
import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

import cv2
import jinja2
import numpy as np

from dfjax import verdict
from dfjax.inference.detector import Detector, Result
from dfjax.media import image as media_image
from dfjax.verdict import FaceScore, Verdict

SCHEMA = "dfjax.report/1"
SCHEMA_FILE = pathlib.Path(__file__).with_name("report.schema.json")

HEADLINES = {
    "real": "No sign of manipulation found",
    "fake": "Probably manipulated",
    "inconclusive": "No verdict",
}
MEANINGS = {
    "real": "The model sees no sign of manipulation in the faces it could judge. That does not "
    "prove the file genuine: it does not look beyond faces, and may miss methods it does not know.",
    "fake": "The model takes at least one face for manipulated. It can be wrong: take this as a "
    "reason to check where the file comes from, not as proof.",
    "inconclusive": "The model cannot tell: the file may be genuine or manipulated. This is not a "
    "place halfway between the two. A larger, sharper or longer copy may allow a verdict.",
    "decode_error": "The model did not see the file: nothing is said about it. Give the original, "
    "or save it anew.",
}

NUM_STRONGEST = 4  # faces that are shown, with their heat maps
_VERSIONS = ("dfjax", "jax", "numpy", "opencv-python-headless", "av", "dlib-bin")


@dataclasses.dataclass(frozen=True)
class Source:
    """The file a report is on: what its user calls it, and its content; None: cannot be read."""

    name: str
    sha256: str | None
    bytes: int | None

    @classmethod
    def of_file(cls, path: str | os.PathLike, *, name: str) -> "Source":
        """Reads the file at `path`, which the user calls `name`."""
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return cls(name, digest, file.tell())
        except OSError:
            return cls(name, None, None)


def make_report(
    result: Result, detector: Detector, source: Source, settings: dict[str, Any]
) -> dict[str, Any]:
    """Returns the report on a result, as JSON; `settings` is what the user chose.

    Times are in seconds, boxes x0, y0, x1, y1 in pixels of the upright frame;
    pictures of the strongest faces and their heat maps are `data:` URIs.
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
            "meaning": MEANINGS["decode_error" if result.error else result.verdict.label],
        },
        "score_meaning": verdict.SCORE_MEANING,
        "rule": verdict.RULE,
        "tracks": _tracks(result, detector),
        "timeline": _timeline(result),
        "strongest": _strongest(result, detector),
        "warnings": list(result.warnings),
        "error": None
        if result.error is None
        else {"code": result.error.code, "message": str(result.error)},
        "model": _model(result, detector),
        "settings": settings,
        "versions": {"python": platform.python_version(), **_versions()},
        "seconds": {stage: round(value, 4) for stage, value in result.seconds.items()},
    }


def _verdict(found: Verdict) -> dict[str, Any]:
    return {"label": found.label, "score": found.score, "reason": found.reason}


def explain_verdict(result: Result) -> str:
    """Returns the verdict in a sentence for people."""
    score, cause = result.verdict.score, _cause(result)
    likelihood = "" if score is None else f" Likelihood of manipulation: {percent(score)}."
    because = "" if cause is None else f": {cause}"
    return f"{HEADLINES[result.verdict.label]}{because}.{likelihood}"


def _cause(result: Result) -> str | None:
    """Why there is no verdict, in words; None where there is one."""
    if result.error is not None:
        return str(result.error)
    return verdict.REASONS.get(result.verdict.reason)


def percent(score: float) -> str:
    """Returns a score in words that never claim certainty: "97%", "over 99%", "under 1%"."""
    if score > 0.99:
        return "over 99%"
    return "under 1%" if score < 0.01 else f"{score:.0%}"


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
        "duration_s": facts.decoded / facts.fps if facts.fps else None,
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
        "weights": card["weights"],
        "step": card["step"],
        "runtime": detector.scorer.runtime,
        "decision": _decision(result, detector),
        "temperature": card["temperature"],
        "synthetic": card["synthetic"],
        "image_size": card["image_size"],
        "crop_spec": detector.spec.to_json(),
        "protocol": card["protocol"],
    }


def _decision(result: Result, detector: Detector) -> dict[str, float]:
    """What the score of this file was compared with, or would have been."""
    decision = detector.scorer.card.decision(result.media.kind if result.media else "image")
    longest = decision.limits[-1]
    low, high = result.verdict.bounds or (longest.low, longest.high)
    return {
        "threshold": decision.threshold,
        "low": low,
        "high": high,
        "error_rate": decision.error_rate,
    }


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _VERSIONS}


def judge_tracks(result: Result, detector: Detector) -> dict[int, Verdict]:
    """Returns the verdict on each track of the file."""
    kind = result.media.kind if result.media else "image"
    return verdict.judge_tracks(result.faces, kind=kind, card=detector.scorer.card)


def _tracks(result: Result, detector: Detector) -> list[dict[str, Any]]:
    tracks = []
    for number, judged in judge_tracks(result, detector).items():
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


def strongest_faces(result: Result) -> list[FaceScore]:
    """Returns the usable faces with the highest scores, highest first, a few at most."""
    usable = [face for face in result.faces if face.quality is None]
    return sorted(usable, key=lambda face: -face.score)[:NUM_STRONGEST]


def _strongest(result: Result, detector: Detector) -> list[dict[str, Any]]:
    faces = strongest_faces(result)
    heat = heat_maps(faces, detector)
    return [
        {
            "frame": face.frame,
            "time_s": face.time,
            "track": face.track,
            "score": face.score,
            "crop": _data_uri(face.crop.image),
            "heat_map": None if heat is None else _data_uri(overlay(face.crop.image, heat[i])),
        }
        for i, face in enumerate(faces)
    ]


def heat_maps(faces: Sequence[FaceScore], detector: Detector) -> np.ndarray | None:
    """Returns the heat maps, float32 [N, h, w], of faces; None: the model has none to give."""
    if not faces:
        return None
    return detector.scorer.heat_maps(np.stack([face.crop.image for face in faces]))


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Returns RGB uint8 [H, W, 3] with the heat map [h, w] in 0..1 laid over it."""
    height, width = image.shape[:2]
    smooth = cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colours = cv2.applyColorMap(np.uint8(255 * smooth), cv2.COLORMAP_INFERNO)
    strength = 0.65 * smooth[..., None]
    mixed = (1 - strength) * image + strength * cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)
    return np.rint(mixed).astype(np.uint8)


def _data_uri(image: np.ndarray) -> str:
    encoded = base64.b64encode(media_image.encode_image(image, "jpeg")).decode()
    return f"data:image/jpeg;base64,{encoded}"


def write_json(report: dict[str, Any], path: str | os.PathLike) -> None:
    """Writes a report, whole or not at all; a number that JSON lacks is an error."""
    path = pathlib.Path(path)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    temporary.replace(path)


def render_html(report: dict[str, Any]) -> str:
    """Returns a report of `make_report` as one HTML page that needs nothing beside itself."""
    return _template().render(
        report=report, zones=_zones(report["model"]["decision"]), chart=_chart(report)
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "clock": clock}
    environment.globals |= {"reasons": verdict.REASONS, "headlines": HEADLINES}
    return environment.get_template("report.html.jinja")


def clock(seconds: float) -> str:
    """Returns a time in a video as m:ss.t, for example 1:05.2."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _zones(decision: dict[str, float]) -> list[tuple[str, float, float]]:
    """(label, from, to) of the scores, in percent, that each label stands for."""
    sides = np.clip([0, 100 * decision["low"], 100 * decision["high"], 100], 0, 100).tolist()
    zones = zip(("real", "inconclusive", "fake"), sides, sides[1:], strict=False)
    return [(label, start, end) for label, start, end in zones if end > start]


def _chart(report: dict[str, Any]) -> dict[str, Any] | None:
    """Points (x in percent, y down to 200, usable) of each track, and ticks; None for a picture."""
    if report["media"]["kind"] != "video":
        return None
    duration, decoded = report["media"]["duration_s"], report["media"]["frames"]["decoded"]
    lines: dict[int, list[tuple[float, float, bool]]] = {}
    for entry in report["timeline"]:
        along = 100 * (entry["time_s"] / duration if duration else entry["frame"] / decoded)
        for face in entry["faces"]:
            lines.setdefault(face["track"], []).append(
                (round(along, 2), round(200 - 200 * face["score"], 1), face["quality"] is None)
            )
    ticks = [
        (25 * i, clock(duration * i / 4) if duration else f"frame {decoded * i // 4}")
        for i in range(5)
    ]
    return {"lines": lines, "ticks": ticks}
