"""Speed of `dfjax prepare`; peer: the preparation of DeepfakeBench, re-implemented.

Both take the same frames and decode them alike. What the command takes for a single frame, to start
and to end, is measured on its own: the start of the peer is not counted either.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from rich import table

from benchmarks.reference import ReferencePreparation
from dfjax.commands import options
from dfjax.console import make_console
from dfjax.corpora import synthetic
from dfjax.faces import track
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import suffix, video

FRAMES = 32  # of a clip
SAME_FACE = 0.5  # intersection over union

FacePair = tuple[Face | None, Face | None]  # the largest face of a frame, by the peer and by dfjax


def main() -> None:
    """Prints the speeds, and how often both take the same face."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("DFJAX_TEST_DATA")
    parser.add_argument(
        "--videos",
        metavar="DIR",
        default=data and os.path.join(data, "videos"),
        help="clips to prepare in addition to drawn ones (DFJAX_TEST_DATA/videos)",
    )
    parser.add_argument("--clips", type=int, metavar="N", help="of each kind (all)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.videos:
            paths = sorted(pathlib.Path(arguments.videos).rglob("*"))
            paths = [path for path in paths if suffix.is_video(path)]
            _compare(arguments.videos, paths[: arguments.clips], folder)
        clips = synthetic.read_synthetic(f"{folder}/drawn", identities=12, frames=16, jobs=2)
        paths = [pathlib.Path(clip.path) for clip in clips[: arguments.clips]]
        _compare("drawn clips", paths, folder)


def _compare(title: str, paths: list[pathlib.Path], folder: str) -> None:
    spec = CropSpec(landmarks=68)
    peer = ReferencePreparation(spec, folder)
    began = time.perf_counter()
    theirs = [[peer.crop(frame) for frame in video.read_video(p, FRAMES).frames] for p in paths]
    rows = {"DeepfakeBench's procedure": (time.perf_counter() - began, 0.0)}
    for jobs in dict.fromkeys((options.num_cores(), 1)):
        start = _prepare_seconds(paths[:1], folder, jobs=jobs, frames=1)
        spent = _prepare_seconds(paths, folder, jobs=jobs, frames=FRAMES)
        rows[f"dfjax prepare --jobs {jobs}"] = (spent, start)
    ours = [_largest_faces(path, spec) for path in paths]
    pairs = [pair for clip in zip(theirs, ours, strict=True) for pair in zip(*clip, strict=True)]
    _print_speed(f"{title}: {len(paths)} clips, {len(pairs)} frames", len(pairs), rows)
    _print_agreement(pairs)


def _prepare_seconds(paths: list[pathlib.Path], folder: str, *, jobs: int, frames: int) -> float:
    """Seconds that the command takes for these videos."""
    root = pathlib.Path(tempfile.mkdtemp(dir=folder))
    (root / "real").mkdir()
    for number, path in enumerate(paths):
        (root / "real" / f"{number}_{path.name}").symlink_to(path.resolve())
    command = [sys.executable, "-m", "dfjax.cli", "prepare", "--corpus", "folder"]
    command += ["--root", f"{root}", "--splits", "1", "0", "0", "--out", f"{root / 'out'}"]
    command += ["--landmarks", "68", "--jobs", f"{jobs}", "--frames", f"{frames}"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _largest_faces(path: pathlib.Path, spec: CropSpec) -> list[Face | None]:
    """The largest face of each frame, as `dfjax prepare` detects it."""
    detector = VideoFaceDetector(FaceDetector(spec))
    frames = video.read_video(path, FRAMES).frames
    return [faces[0] if (faces := detector.detect(frame)) else None for frame in frames]


def _print_speed(title: str, num_frames: int, seconds: dict[str, tuple[float, float]]) -> None:
    """`seconds` are (all, of them to start and to end) by procedure; the peer comes first."""
    rows = table.Table(title=title)
    for column in ("", "s in all", "s to start", "frames/s", "times", "times, with start"):
        rows.add_column(column, justify="right" if column else "left")
    peer = next(iter(seconds.values()))[0]
    for name, (spent, start) in seconds.items():
        work = spent - start
        ratios = f"{num_frames / work:.1f}", f"{peer / work:.2f}", f"{peer / spent:.2f}"
        rows.add_row(name, f"{spent:.1f}", f"{start:.1f}", *ratios)
    make_console().print(rows)


def _print_agreement(pairs: list[FacePair]) -> None:
    detected = [(theirs, ours) for theirs, ours in pairs if theirs is not None]
    same = [(a, b) for a, b in detected if b is not None and track.iou(a.box, b.box) >= SAME_FACE]
    distances = [_landmark_distance(a, b) for a, b in same]
    num_more = sum(theirs is None and ours is not None for theirs, ours in pairs)
    print(
        f"DeepfakeBench's procedure detects a face in {len(detected)} frames; dfjax the same one, "
        f"IoU {SAME_FACE} or more, in {len(same) / len(detected):.2%} of them, and one in "
        f"{num_more} others\n"
        f"distance of their landmarks, in eye distances: {np.mean(distances):.2%} on average, "
        f"{np.percentile(distances, 95):.2%} at the 95th percentile"
    )


def _landmark_distance(a: Face, b: Face) -> float:
    """Mean distance of the 68 landmarks, as a share of the distance between the eyes of `a`."""
    eyes = a.landmarks[36:42].mean(0) - a.landmarks[42:48].mean(0)
    return np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean() / np.linalg.norm(eyes)


if __name__ == "__main__":
    main()
