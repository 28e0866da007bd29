"""Counts what the gate of a model refuses: held-out faces, and strangers of many kinds.

    python scripts/gate.py --model runs/mine --held-out data/mine:test --also drawn=data/drawn:test

Strangers are made from the held-out crops (upside down, blurred beyond the quality limits), from
nothing (noise, textures) and from two photographs that come with scikit-learn (objects); `--also`
adds prepared faces that the model should not know. None of these kinds was shown to the gate when
it was fitted, but for drawn faces of other people; those nearest to the others that it learnt from
are leaning faces, faces in bands of which each is upside down, and faces enlarged from 8 to 16
pixels (`familiarity.strangers`). Counted on the gate alone, whatever the quality limits say: to be
shown are at most 5 % of held-out faces and at least 90 % of each kind of stranger.
"""

import argparse
import json
from collections.abc import Iterator

import cv2
import numpy as np
from sklearn import datasets

from dfjax.data import transforms
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.faces import quality
from dfjax.inference import scorer
from dfjax.media import image as media_image
from dfjax.model_card import QualityLimits

LIMITS = QualityLimits()


def read(name: str, size: int, count: int) -> np.ndarray:
    """Returns at most `count` crops, uint8 [N, size, size, 3], spread over "DIR:SPLIT"."""
    records = EvalTarget.open(name).records
    rows = np.linspace(0, len(records) - 1, min(count, len(records)), dtype=int)
    crops = (media_image.decode_image(records[int(row)]["image"]) for row in rows)
    return np.stack([transforms.resize(crop, size) for crop in crops])


def make_strangers(crops: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (kind, crops uint8 [N, S, S, 3]), as many as there are crops.

    Of blurred ones those alone that the usual quality limits would refuse.
    """
    size, count = crops.shape[1], len(crops)
    yield "upside down", crops[:, ::-1]
    yield "turned by half", crops[:, ::-1, ::-1]
    for blur in (0.025, 0.04, 0.06):
        blurred = [cv2.GaussianBlur(crop, (0, 0), blur * size) for crop in crops]
        beyond = [crop for crop in blurred if quality.measure(crop)[1] < LIMITS.min_sharpness]
        yield f"blurred by {blur:.1%} of the side", np.stack(beyond)
    yield "noise", rng.integers(0, 256, (count, size, size, 3), np.uint8)
    yield "textures", np.stack([_texture(size, rng) for _ in range(count)])
    photographs = datasets.load_sample_images().images
    yield "objects", np.stack([_square(photographs[n % 2], size, rng) for n in range(count)])


def _texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Stripes, checks or waves of two colours, of any direction and width, [size, size, 3]."""
    rows, columns = np.mgrid[:size, :size] * (128 / size)
    angle, rate = rng.uniform(0, np.pi), rng.uniform(0.05, 0.8)
    along = (columns * np.cos(angle) + rows * np.sin(angle)) * rate
    across = (rows * np.cos(angle) - columns * np.sin(angle)) * rate
    kinds = (
        np.sin(along),
        np.sign(np.sin(along) * np.sin(across)),
        np.sin(along + 2 * np.sin(across / 2)),
    )
    share = (kinds[rng.integers(3)][..., None] + 1) / 2
    dark, light = rng.uniform(0, 255, (2, 3))
    return np.uint8(dark + (light - dark) * share)


def _square(photograph: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Any square of a photograph, at `size`."""
    height, width = photograph.shape[:2]
    side = int(rng.integers(80, height))
    top, left = rng.integers(0, height - side), rng.integers(0, width - side)
    return transforms.resize(photograph[top : top + side, left : left + side], size)


def main() -> None:
    """Prints a row for each kind, and with --out writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="workdir of a run, or folder of an export")
    parser.add_argument("--held-out", required=True, metavar="DIR:SPLIT", help="faces like its own")
    parser.add_argument(
        "--also", nargs="*", default=[], metavar="NAME=DIR:SPLIT", help="faces it should not know"
    )
    parser.add_argument("--count", type=int, default=400, help="crops of each kind (%(default)s)")
    parser.add_argument("--out", help="a file for the counts")
    arguments = parser.parse_args()
    model = scorer.load(arguments.model)
    size, limit = model.card.crop_spec.size, model.card.quality.max_strangeness
    if limit is None:
        parser.error(f"{arguments.model} has no gate: evaluate the run again")
    held_out = read(arguments.held_out, size, arguments.count)
    kinds = {"held out": held_out, **dict(make_strangers(held_out, np.random.default_rng(1)))}
    for each in arguments.also:
        name, _, target = each.partition("=")
        kinds[name] = read(target, size, arguments.count)
    counts = {}
    for kind, crops in kinds.items():
        refused = int((~(model.outputs(crops)[:, 1] <= limit)).sum())
        counts[kind] = {"crops": len(crops), "refused": refused}
        print(
            f"{kind:28s} {refused:5d} of {len(crops):5d}  {refused / len(crops):6.1%}", flush=True
        )
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump({"limit": limit, "kinds": counts}, file, indent=2)


if __name__ == "__main__":
    main()
