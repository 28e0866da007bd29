"""dfjax: trains, evaluates and deploys deepfake detectors in JAX.

    detector = dfjax.Detector.load("runs/resnet")
    detector.file("clip.mp4").verdict

Attributes:
  Detector: media to a verdict with its reason (`inference.detector`).
  CropSpec: how faces are cut out (`faces.crop_spec`).
  Run: a workdir as an object (`run`).
  load_model: crops to scores, by a run or an export (`inference.scorer.load`).

They are loaded at first use: `import dfjax` itself loads neither JAX nor OpenCV. It
turns off the telemetry of libraries (`telemetry`).
"""

import importlib
from typing import Any

from dfjax import telemetry

telemetry.silence()

_FACE = {
    "CropSpec": ("dfjax.faces.crop_spec", "CropSpec"),
    "Detector": ("dfjax.inference.detector", "Detector"),
    "Run": ("dfjax.run", "Run"),
    "load_model": ("dfjax.inference.scorer", "load"),
}
__all__ = ["CropSpec", "Detector", "Run", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module 'dfjax' has no attribute {name!r}")
    module, attribute = _FACE[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FACE})
