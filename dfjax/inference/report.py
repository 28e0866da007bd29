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
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dfjax import files, phrases, versions, words
from dfjax.evidence import content_credentials
from dfjax.evidence.gather import Evidence
from dfjax.inference import draw
from dfjax.inference.detector import Detector, Result
from dfjax.media import image as media_image
from dfjax.media import shots as media_shots
from dfjax.media.shots import Shot
from dfjax.model_card import FORGERIES, ModelCard
from dfjax.verdict import FaceScore, Verdict

SCHEMA = "dfjax.report/2"
SCHEMA_FILE = pathlib.Path(__file__).with_name("report.schema.json")

NUM_SHOWN = 4  # faces that spoke most for a manipulation, and as many that spoke most against
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
    report = {
        "schema": SCHEMA,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "media": {
            **dataclasses.asdict(source),
            **_facts(result),
        },
        "verdict": {
            **_verdict(result.verdict),
            "headline": words.LEVELS[result.verdict.level],
            "text": explain_verdict(result),
            "cause": _cause(result),
            "meaning": _meaning(result.verdict),
        },
        "evidence": None if result.evidence is None else explain_evidence(result.evidence),
        "scope": _scope(detector.scorer.card),
        "score_meaning": words.SCORE_MEANING,
        "rule": phrases.rule(detector.scorer.card.pooling),
        "absence": words.ABSENCE,
        "words": {"levels": words.LEVELS, "labels": words.LABELS, "reasons": words.REASONS},
        "shots": _shots(result, detector),
        "moments": _moments(result, detector),
        "tracks": _tracks(result, detector),
        "timeline": _timeline(result),
        "strongest": _faces(_by_score(result)[:NUM_SHOWN], detector),
        "weakest": _faces(_by_score(result)[NUM_SHOWN:][::-1][:NUM_SHOWN], detector),
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
    return report | {"summary": "\n".join(_summary(report))}


def _summary(report: dict[str, Any]) -> Iterator[str]:
    """The lines of the result as text to copy."""
    media, model, say = report["media"], report["model"], words.SUMMARY
    yield say["file"].format(name=media["name"], verdict=report["verdict"]["text"])
    yield from map(phrases.moment, report["moments"])
    if release := model["release"]:
        data = release["trained_on"]
        yield say["judged_by_release"].format(model=release["name"], data=data)
    else:
        yield say["judged_by"].format(model=model["name"])
    if report["scope"]["forgeries"]:
        yield phrases.scope(report["scope"])
    made = say["made"].format(date=report["created"][:10])
    is_video = media["kind"] == "video"
    yield f"{say['frames'].format(**media['frames'])} {made}" if is_video else made
    if media["sha256"]:
        yield say["sha256"].format(digest=media["sha256"])
    yield report["absence"]


def _verdict(judged: Verdict) -> dict[str, Any]:
    return {
        "label": judged.label,
        "level": judged.level,
        "score": judged.score,
        "reason": judged.reason,
    }


def explain_verdict(result: Result) -> str:
    """Returns the verdict in one or two sentences for people."""
    level, cause = words.LEVELS[result.verdict.level], _cause(result)
    form = words.SUMMARY["verdict" if cause is None else "verdict_because"]
    told = form.format(level=level, cause=cause)
    if result.verdict.score is None:
        return told
    percent = phrases.percent(result.verdict.score)
    return f"{told} {words.SUMMARY['likelihood'].format(percent=percent)}"


def explain_evidence(evidence: Evidence) -> dict[str, Any]:
    """Returns what a file says of its origin as JSON, with words for every code."""
    told = json.loads(json.dumps(dataclasses.asdict(evidence)))  # with lists instead of tuples
    credentials = told["content_credentials"]
    headline, meaning = words.CREDENTIALS[credentials["state"]]
    credentials |= {"headline": headline, "meaning": meaning}
    for name, explain in (
        ("failures", phrases.failure),
        ("ai_sources", words.AI_SOURCES.get),
        ("ai_sources_of_ingredients", words.AI_SOURCES.get),
    ):
        credentials[name] = [{"code": code, "text": explain(code)} for code in credentials[name]]
    return told


def _cause(result: Result) -> str | None:
    """Why there is no verdict, in words; None: there is one."""
    if result.error is not None:
        return str(result.error)
    return words.REASONS.get(result.verdict.reason)


def _meaning(judged: Verdict) -> str:
    """What a verdict does and does not say: by its reason, where there is more to say of that."""
    return words.MEANINGS.get(judged.reason) or words.MEANINGS[judged.level]


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
            "analysed": len(facts.analysed),
        },
    }


def _scope(card: ModelCard) -> dict[str, Any]:
    """What the model was shown, and what it may therefore miss."""
    release = card.release
    shown = release.forgeries if release else ()
    return {
        "trained_on": release.trained_on if release else card.protocol.get("trained_on"),
        "forgeries": list(shown) or None,
        "others": [each for each in FORGERIES if each not in shown] if shown else None,
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
    strong, very_strong = result.verdict.stricter or decision.stricter(longest.frames)
    return {
        "threshold": decision.threshold,
        "low": low,
        "high": high,
        "strong": strong,
        "very_strong": very_strong,
        "error_rate": decision.error_rate,
    }


def _shots(result: Result, detector: Detector) -> list[dict[str, Any]]:
    if result.media is None:
        return []
    shots, judged = result.media.shots, detector.judge_shots(result)
    return [
        {
            "shot": number,
            "start_s": shot.start,
            "end_s": shot.end,
            "frames": len(shot),
            "analysed": sum(shot.first <= frame < shot.stop for frame in result.media.analysed),
            **_verdict(each),
            "tracks": sorted({face.track for face in _within(result.faces, shot)}),
        }
        for number, (shot, each) in enumerate(zip(shots, judged, strict=True))
    ]


def _within(faces: Sequence[FaceScore], shot: Shot) -> list[FaceScore]:
    return [face for face in faces if shot.first <= face.frame < shot.stop]


def _moments(result: Result, detector: Detector) -> list[dict[str, Any]]:
    """Where tracks look manipulated by themselves."""
    return [
        {
            "track": moment.track,
            "shots": _shots_of(moment.faces, result),
            "first_s": moment.faces[0].time,
            "last_s": moment.faces[-1].time,
            "faces": len(moment.faces),
            "score": moment.score,
        }
        for moment in detector.moments(result)
    ]


def _shots_of(faces: Sequence[FaceScore], result: Result) -> list[int]:
    """The numbers of the shots that show these faces."""
    if result.media is None or not result.media.shots:
        return []
    return sorted({media_shots.number_of(result.media.shots, face.frame) for face in faces})


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
                "shots": _shots_of(faces, result),
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


def _by_score(result: Result) -> list[FaceScore]:
    """The usable faces, those of the highest scores first."""
    return sorted((face for face in result.faces if face.quality is None), key=lambda f: -f.score)


def _faces(faces: Sequence[FaceScore], detector: Detector) -> list[dict[str, Any]]:
    """Faces as pictures, with their heat maps."""
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
