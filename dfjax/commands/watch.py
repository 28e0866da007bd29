"""`dfjax predict --live`: what the live detector sees, as JSON lines and in a window."""

import json
from typing import Any

import numpy as np

from dfjax.commands import window
from dfjax.inference import annotate
from dfjax.inference.detector import Detector
from dfjax.inference.live import LiveDetector, LiveResult
from dfjax.media import stream


def watch(source: str, detector: Detector, **options: int) -> None:
    """Judges a live source until it ends or its window is closed; prints one JSON line per result.

    `source` is that of `stream.LiveSource`; `options` are those of `LiveDetector`.

    Raises:
      UserError: the model cannot follow faces.
      MediaError: the source does not open.
    """
    live_detector = LiveDetector(detector, **options)
    with stream.LiveSource(source) as frames, window.open_window(frames.source) as shown:
        for result in live_detector.run(frames):
            print(json.dumps(event(result)), flush=True)
            if shown is not None and not shown.show(draw(result)):
                return


def event(result: LiveResult) -> dict[str, Any]:
    """Returns a result as JSON; boxes are x0, y0, x1, y1 in pixels of the frame."""
    tracks = {live_track.track: live_track for live_track in result.tracks}
    return {
        "frame": result.frame.number,
        "passed_over": result.passed_over,
        "latency_ms": round(1000 * result.latency, 1),
        "faces": [
            {
                "track": face.track,
                "box": [round(float(side), 1) for side in face.crop.box],
                "score": face.score,
                "quality": face.quality,
                "mean_score": tracks[face.track].score,
                "verdict": tracks[face.track].label,
            }
            for face in result.faces
        ],
    }


def draw(result: LiveResult) -> np.ndarray:
    """Returns the frame with a box around every face, RGB uint8 [H, W, 3]."""
    labels = {live_track.track: live_track.label for live_track in result.tracks}
    return annotate.draw_faces(result.frame.image, result.faces, labels)
