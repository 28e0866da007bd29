"""CPU time of the degradations of stored crops: of each operation, and of the mean crop."""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from rich import table

from dfjax import config
from dfjax.console import make_console
from dfjax.data.degradations import scale
from dfjax.data.degradations.chain import Chain
from dfjax.data.degradations.dice import Dice, Operation
from dfjax.data.degradations.publication import PLACES, Publication
from dfjax.data.degradations.shuffled import Shuffled
from dfjax.data.degrade import Degrade
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.media import image as media_image


def main() -> None:
    """Prints a table: milliseconds of one core for a crop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="DIR:SPLIT", type=EvalTarget.open)
    parser.add_argument("--crops", type=int, default=200, metavar="N", help="(%(default)s)")
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    records = arguments.data.records
    crops = [media_image.decode_image(records[i]["image"]) for i in range(arguments.crops)]
    rows = table.Table(title=f"{len(crops)} crops of {len(crops[0])} px")
    rows.add_column("operation")
    rows.add_column("ms a crop", justify="right")
    for name, degrade in _parts():
        rows.add_row(name, f"{_measure(degrade, crops):.2f}")
    make_console().print(rows)


_Part = Callable[[np.ndarray, np.random.Generator], object]


def _parts() -> Iterator[tuple[str, _Part]]:
    """Everything that can happen to a crop, alone, and then together."""
    settings = config.base().degrade.to_dict()
    yield "chain", _alone(Chain(**{**settings["chain"], "probability": 1.0}).draw)
    shuffled = Shuffled(**settings["shuffled"])
    for name in sorted(name for name in dir(Shuffled) if name.startswith("draw_")):
        yield name.removeprefix("draw_"), _alone(lambda dice, n=name: [getattr(shuffled, n)(dice)])
    publication = Publication(**settings["publication"])
    for place in PLACES:
        chosen = {name: float(name == place) for name in PLACES}
        yield f"last: {place}", _alone(dataclasses.replace(publication, **chosen).draw)
    for probability in (1.0, 0.5):
        degrade = Degrade(**{**settings, "probability": probability})
        yield f"all, probability {probability}", lambda crop, rng, d=degrade: d([crop], rng)


def _alone(draw: Callable[[Dice], list[Operation]]) -> _Part:
    def degrade(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return scale.keep_size(draw(Dice(rng, strength=0.5)), cv2.INTER_LINEAR)(crop)

    return degrade


def _measure(degrade: _Part, crops: Sequence[np.ndarray]) -> float:
    degrade(crops[0], np.random.default_rng(0))  # loads FFmpeg, where it is used
    began = time.process_time()
    for seed, crop in enumerate(crops):
        degrade(crop, np.random.default_rng(seed))
    return 1e3 * (time.process_time() - began) / len(crops)


if __name__ == "__main__":
    main()
