"""Processor time and memory of `dfjax report` for a million scores, drawn by chance.

Ends with status 1 above 60 s or 2 GiB.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np

from dfjax import logistic
from dfjax.console import print_line
from dfjax.evaluators import score_table
from dfjax.evaluators.score_table import ScoreTable

_SECONDS = 60
_GIB = 2.0


def main() -> int:
    """Prints what the report took; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, metavar="N", default=31_250, help="(%(default)s)")
    parser.add_argument("--frames", type=int, metavar="N", default=32, help="(%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        score_table.write(folder, draw_table(arguments.clips, arguments.frames))
        worst = 0
        for file in (score_table.PARQUET_FILE, score_table.CSV_FILE):
            worst = max(worst, _measure(pathlib.Path(folder, file)))
    return worst


def draw_table(num_clips: int, num_frames: int, seed: int = 0) -> ScoreTable:
    """Returns scores of clips, half of them of five methods; the frames of a clip are alike."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, num_clips)
    names = rng.choice(["deepfakes", "face2face", "faceswap", "neuraltextures", "other"], num_clips)
    method = np.where(label == 1, names, "real").astype(object)
    clip = np.array([f"drawn/{each}/{i:07}.mp4" for i, each in enumerate(method)], object)
    rows = np.repeat(np.arange(num_clips), num_frames)
    logit = rng.normal(1.6 * label - 0.8)[rows] + rng.normal(size=len(rows))
    frame = 7 * np.tile(np.arange(num_frames), num_clips)
    first = np.zeros(len(rows), int)
    return ScoreTable(
        corpus=np.full(len(rows), "drawn", object),
        clip=clip[rows],
        method=method[rows],
        frame=frame,
        time=frame / 25,
        face=first,
        track=first,
        label=label[rows],
        logit=logit,
        score=logistic.to_score(logit, 1.3),
        extra={"sharpness": rng.random(len(rows)), "face_size": 300 * rng.random(len(rows))},
    )


def _measure(path: pathlib.Path) -> int:
    command = [sys.executable, "-m", "dfjax.cli", "report", str(path), "--out", f"{path}.report"]
    before = _children()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = _children()
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    gib = after.ru_maxrss / 2**20
    print_line(f"{path.name}: {seconds:.1f} s of processor time, {gib:.2f} GiB at most")
    return int(seconds > _SECONDS or gib > _GIB)


def _children() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_CHILDREN)


if __name__ == "__main__":
    sys.exit(main())
