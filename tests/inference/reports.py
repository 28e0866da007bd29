"""Reports of every kind, made from scores that a test writes by hand."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dfjax import verdict
from dfjax.evidence.content_credentials import Action, ContentCredentials
from dfjax.evidence.gather import Evidence
from dfjax.evidence.stated import Stated
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import detector, report
from dfjax.inference.detector import Result
from dfjax.inference.extract import MediaFacts
from dfjax.media.errors import MediaError
from dfjax.verdict import FaceScore
from tests import cards
from tests.inference import detectors

SPEC = CropSpec(crops="as-is", detector="none", landmarks=0, size=32)
EVIL = "<script>window.hacked=1</script>'\"><img src=x onerror=alert(1)>&\u202egnp.exe"

EVIDENCE = Evidence(
    ContentCredentials(
        "broken",
        ("assertion.dataHash.mismatch", EVIL),
        signer=EVIL,
        organization=EVIL,
        tool=EVIL,
        actions=(
            Action(EVIL, EVIL, EVIL, EVIL),
            Action("c2pa.color_adjustments", None, None, None),
        ),
        num_actions=21,
        num_ingredients=1,
        ai_sources=("trainedAlgorithmicMedia",),
        ai_sources_of_ingredients=("trainedAlgorithmicData",),
    ),
    Stated(EVIL, EVIL, None, (EVIL, "Lavf61.7.100"), (EVIL,), *[EVIL] * 5, has_position=True),
)


def make_detector(*, heat: bool = True, synthetic: bool = True) -> detector.Detector:
    """Undecided from 0.4 to 0.6; the heat lies in the upper left of every crop."""
    spot = np.zeros((4, 4), np.float32)
    spot[0, 0] = 1
    return detectors.make_detector(
        SPEC,
        heat=spot if heat else None,
        decisions={"frame": cards.make_decision((1, 0.4, 0.6, 0.5))},
        step=7,
        synthetic=synthetic,
        protocol={"trained_on": EVIL},
    )


def make_face(frame, track, score, quality=None, *, fps=10.0) -> FaceScore:
    """A face in a frame of 48 x 64 pixels."""
    crop = align.resize_crop(np.full((64, 48, 3), 120, np.uint8), SPEC)
    return FaceScore(frame, frame / fps if fps else None, track, score, quality, crop)


def make_result(model, *faces, kind="video", fps=10.0, evidence=None) -> Result:
    """The result for a picture, or for a video of 40 frames."""
    facts = MediaFacts(kind, 48, 64)
    if kind == "video":
        facts = MediaFacts(kind, 48, 64, fps, 40, 40, (0, 13, 26, 39), 40 / fps if fps else None)
    judged = verdict.judge(faces, kind=kind, card=model.scorer.card)
    return Result(
        judged,
        faces,
        facts,
        warnings=model.warnings,
        seconds={"decode": 0.12345},
        evidence=evidence,
    )


def make_report(model, result, name="a.png") -> dict[str, Any]:
    """The report on a result."""
    return report.make_report(result, model, report.Source(name, "a" * 64, 3), {"num_frames": 4})


def video_report(**options) -> dict[str, Any]:
    """Track 0: 0.7, 0.8, 0.9 and a dark face; track 1: twice 0.1, which is too few."""
    model = make_detector(**options)
    faces = [make_face(frame, 0, score) for frame, score in ((0, 0.7), (13, 0.8), (26, 0.9))]
    faces += [make_face(39, 0, 0.2, "too_dark"), make_face(39, 1, 0.1), make_face(39, 1, 0.1)]
    return make_report(model, make_result(model, *faces, evidence=EVIDENCE))


def _every_report() -> Iterator[tuple[str, dict[str, Any]]]:
    model = make_detector()
    pictures = {
        "real": [make_face(0, 0, 0.1, fps=0)],
        "fake": [make_face(0, 0, 1.0, fps=0)],
        "undecided": [make_face(0, 0, 0.5, fps=0)],
        "no face": [],
        "dark": [make_face(0, 0, 0.9, "too_dark", fps=0)],
    }
    for name, faces in pictures.items():
        yield name, make_report(model, make_result(model, *faces, kind="image"))
    yield "video", video_report()
    yield "no heat, real faces", video_report(heat=False, synthetic=False)
    timeless = [make_face(number, 0, 0.7, fps=0) for number in range(3)]
    yield "no rate", make_report(model, make_result(model, *timeless, fps=None))
    yield "broken", make_report(model, detector.failed(MediaError("corrupt", "a.png: broken")))


REPORTS = dict(_every_report())
