"""A tiny model with a gate, and crops that it knows and does not know."""

import pathlib

import numpy as np

from dfjax import evaluate, train
from dfjax.corpora import folder
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings
from tests import tiny_run


def make_pictures(count: int, seed: int = 0) -> np.ndarray:
    """What it knows, uint8 [count, 40, 40, 3]: noise, brighter in one corner of every second."""
    pictures = np.random.default_rng(seed).integers(0, 200, (count, 40, 40, 3), np.uint8)
    pictures[1::2, :12, :12] += 55
    return pictures


def make_stranger() -> np.ndarray:
    """What it does not know, uint8 [40, 40, 3]: sharp stripes, and neither dark nor blurred."""
    stripes = np.uint8(np.arange(40) // 4 % 2 * 160 + 40)
    return np.broadcast_to(stripes[:, None, None], (40, 40, 3)).copy()


def make_run(parent: pathlib.Path) -> pathlib.Path:
    """Prepares 120 pictures to learn from, trains and evaluates; returns the workdir."""
    rows, number = ["path,label,split"], 0
    for split, count in (("train", 120), ("val", 24), ("test", 8)):
        for picture in make_pictures(count, seed=count):
            (parent / f"{number}.png").write_bytes(image.encode_image(picture, "png"))
            rows.append(f"{number}.png,{number % 2},{split}")
            number += 1
    (parent / "manifest.csv").write_text("\n".join(rows) + "\n")
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")
    prepare.prepare(folder.read_folder(parent), parent / "data", Settings(spec))
    config = tiny_run.make_config(parent / "data", **{"eval.trivial_cues": 0})
    train.train(config, parent / "run")
    evaluate.evaluate(config, parent / "run")
    return parent / "run"
