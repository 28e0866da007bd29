"""What the tests of preparation share: drawn videos, runs to kill, and what they leave."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

from dfjax.corpora.folder import read_folder
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.data import builder
from dfjax.media import video as media_video
from dfjax.preparation import crop_store

_BROKEN_EVERY = 20

# A crop of `crop_clip.ClipCrops`, with values that differ in every field.
CROP = {
    "image": b"encoded",
    "frame": 3,
    "face": 1,
    "landmarks": np.arange(10, dtype=np.float32).reshape(5, 2),
    "box": np.array([1.5, 2, 3, 4], np.float32),
    "scale": 0.5,
    "padded": 0.25,
    "time": 0.5,
}


def write_videos(root: pathlib.Path, count: int) -> list[str]:
    """Writes videos of a drawn face, each in another light; returns the paths of the broken 5 %."""
    take = synthetic.film(synthetic.Settings(identities=12, frames=3), 0, 0)
    paths = [root / ("real", "fake")[number % 2] / f"{number}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [(frame * (1 - number / 100)).astype(np.uint8) for frame in take.frames]
        media_video.write_video(path, frames, fps=25, crf=18)
    broken = paths[7::_BROKEN_EVERY]
    for path in broken:
        path.write_bytes(path.read_bytes()[:200])
    return sorted(map(str, broken))


def command(root: pathlib.Path, out: pathlib.Path, *options: str) -> list[str]:
    return ["prepare", "--corpus", "folder", "--root", str(root), "--out", str(out), *options]


def start(arguments: list[str]) -> subprocess.Popen:
    """Starts the command at the head of a group of processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "dfjax.cli", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_all(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def wait_for(process: subprocess.Popen, out: pathlib.Path, finished: int) -> None:
    """Returns when so many clips, or lots of them, are finished."""
    while num_finished(out) < finished:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def num_finished(out: pathlib.Path) -> int:
    crops = out / "work" / "crops"
    of_clips = crops.read_bytes().count(b'"code": "", ') if crops.exists() else 0
    return of_clips + len(list((out / "work" / "lots").glob("[!.]*")))


def spoil_finished(root: pathlib.Path, out: pathlib.Path) -> int:
    """Breaks the files of finished clips, but leaves their size and time of change."""
    with crop_store.CropStore(out / "work" / "crops") as store:
        outcomes = {clip.path: store.outcome(clip) for clip in read_folder(root)}
    finished = [path for path, outcome in outcomes.items() if outcome and not outcome.failed]
    for path in finished:
        status = os.stat(path)
        with open(path, "r+b") as file:
            file.write(b"spoiled")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return len(finished)


def digests(out: pathlib.Path) -> dict[str, str]:
    """Hashes of all that the dataset consists of."""
    files = builder.dataset_dir(out).iterdir()
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def errors(out: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (out / "errors.jsonl").read_text().splitlines()]
