"""What a model loses where pictures were compressed and resized: drops of the AUC on `dfdc_val`."""

import json
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

# JPEG and WebP of quality 90 to 30, H.264 of CRF 23 to 40, and resizes.
LEVELS = {"jpeg": (1, 4), "webp": (1, 4), "h264": (2, 5), "resize_chain": (1, 5)}


def measure(workdir: pathlib.Path, data: pathlib.Path, run: Callable[..., None]) -> dict[str, Any]:
    """Returns the AUC as it is, the mean drop by type, and the mean over types."""
    out = workdir / "robustness"
    command = (sys.executable, "-m", "dfjax.cli", "robustness", "--model", workdir)
    run(*command, "--data", f"{data / 'dfdc_val'}:test", "--out", out, "--types", *LEVELS)
    found = json.loads((out / "robustness.json").read_text())
    clean = found["clean"]["auc"]["value"]
    drops = {each["name"]: clean - _mean(each) for each in found["types"]}
    rounded = {name: round(drop, 4) for name, drop in drops.items()}
    mean = statistics.mean(drops.values())
    return {"clean": round(clean, 4), "drops": rounded, "mean": round(mean, 4)}


def _mean(of_type: dict[str, Any]) -> float:
    first, last = LEVELS[of_type["name"]]
    levels = (each for each in of_type["levels"] if first <= each["level"] <= last)
    return statistics.mean(each["auc"]["value"] for each in levels)
