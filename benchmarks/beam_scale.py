"""What a launcher needs for a corpus of many clips: memory, and time to commit the index.

    python -m benchmarks.beam_scale                 # 10,000 and 100,000 clips, about 15 minutes
    python -m benchmarks.beam_scale --clips 2000

Workers of Apache Beam on this machine make the shards of clips that are not there: a stub stands
for decoder and detector, and gives each clip the same few crops. Everything else is what `dfjax
prepare --runner` does. Each size runs in a process of its own, whose peak of memory counts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dfjax.corpora.clip import Clip
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image
from dfjax.preparation import crop_store, distributed, lots
from dfjax.preparation.crop_clip import ClipCrops
from dfjax.preparation.settings import Settings

CROPS = 8  # of a clip
SIZES = (10_000, 100_000)
_SIZE = 16
_WORKERS = ("direct_num_workers=2", "direct_running_mode=multi_processing")


def crop_nothing(
    clips: Sequence[Clip], store: crop_store.CropStore, *_: Any, **__: Any
) -> Iterator[tuple[Clip, crop_store.Outcome]]:
    """Stands for `workers.crop_clips`."""
    picture = np.random.default_rng(0).integers(0, 255, (_SIZE, _SIZE, 3), np.uint8)
    crop = {
        "image": image.encode_image(picture, "jpeg"),
        "time": 0.0,
        "face": 0,
        "landmarks": np.zeros((5, 2), np.float32),
        "box": np.zeros(4, np.float32),
        "scale": 1.0,
        "padded": 0.0,
    }
    made = ClipCrops([{**crop, "frame": frame} for frame in range(CROPS)], CROPS, False)
    for clip in clips:
        store.save(clip, made)
        yield clip, crop_store.make_outcome(made)


def make_lot(lot: lots.Lot, **arguments: Any) -> None:
    """Makes a lot on a worker, without a decoder."""
    lots.workers.crop_clips = crop_nothing
    lots.make(lot, **arguments)


def measure(num_clips: int) -> dict[str, float]:
    """Prepares so many clips in this process, and returns what that took."""
    clips = [
        Clip(f"c/{method}/{n:06}", f"/nowhere/{n:06}.mp4", label, method, "train", (f"id{n:06}",))
        for n in range(num_clips)
        for label, method in [(n % 2, ("real", "fake")[n % 2])]
    ]
    before = _peak()
    distributed._make_lot = make_lot
    committed = []
    commit = lots.commit

    def timed(*arguments: Any, **options: Any) -> None:
        began = time.monotonic()
        commit(*arguments, **options)
        committed.append(time.monotonic() - began)

    lots.commit = timed
    options = ["--runner=FnApiRunner", *(f"--{option}" for option in _WORKERS)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        made = distributed.prepare(
            clips, out, Settings(CropSpec(size=_SIZE)), options, overwrite=False
        )
    assert made.num_crops == CROPS * num_clips
    return {
        "clips": num_clips,
        "crops": made.num_crops,
        "peak_mib": round(_peak()),
        "before_mib": round(before),
        "commit_seconds": round(committed[0], 1),
        "seconds": round(time.monotonic() - began),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Measures each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, nargs="+", default=SIZES)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.clips[0])))
        return
    for size in arguments.clips:
        command = [sys.executable, "-m", "benchmarks.beam_scale", "--here", "--clips", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
