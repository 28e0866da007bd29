"""Speed of preparing clips and of judging them, at once and live; peer: another commit.

Each job runs in processes of its own, by the working tree and by the commit in turns. What counts
is processor time, less that of the same job on one frame, which is what starting takes. Neighbors
on the machine make it longer and never shorter: the fastest round is the truest.
"""

import argparse
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable

import numpy as np
from rich import table

from dfjax.console import make_console
from dfjax.media import suffix

ROOT = pathlib.Path(__file__).parents[1]
FRAMES = 32  # of a clip: spread over it; live, the first ones
DFJAX = ("-m", "dfjax.cli")
LIVE = """
import itertools, sys
from dfjax.inference.detector import Detector
from dfjax.inference.live import LiveDetector
from dfjax.media.stream import LiveSource
model, count, *paths = sys.argv[1:]
detector = Detector.load(model)
for path in paths:
    with LiveSource(path, keep_all=True) as source:
        for _ in itertools.islice(LiveDetector(detector).run(source), int(count)):
            pass
"""

Job = Callable[[list[pathlib.Path], int, pathlib.Path], list[str]]  # clips, frames, an empty folder


def main() -> None:
    """Prints the processor time of each job by both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("DFJAX_TEST_DATA")
    parser.add_argument("commit", help="the peer, as git names it: HEAD, main, v1.0")
    parser.add_argument("--model", help="a run or its export that both can read (no judging)")
    parser.add_argument(
        "--videos",
        metavar="DIR",
        default=data and os.path.join(data, "videos"),
        required=not data,
        help="clips (DFJAX_TEST_DATA/videos)",
    )
    parser.add_argument("--clips", type=int, metavar="N", default=6, help="(%(default)s)")
    parser.add_argument("--rounds", type=int, metavar="N", default=5, help="(%(default)s)")
    arguments = parser.parse_args()
    clips = sorted(filter(suffix.is_video, pathlib.Path(arguments.videos).rglob("*")))
    clips = clips[:: max(1, len(clips) // arguments.clips)][: arguments.clips]
    with tempfile.TemporaryDirectory() as folder:
        trees = {"working tree": ROOT, arguments.commit: pathlib.Path(folder, "commit")}
        _extract(arguments.commit, trees[arguments.commit])
        for name, job in _make_jobs(arguments.model).items():
            _print(name, _measure(job, trees, clips, arguments.rounds, pathlib.Path(folder)))


def _extract(commit: str, tree: pathlib.Path) -> None:
    command = ["git", "-C", str(ROOT), "archive", commit]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")


def _make_jobs(model: str | None) -> dict[str, Job]:
    """The jobs by name; what they return are arguments of Python."""

    def prepare(clips: list[pathlib.Path], frames: int, folder: pathlib.Path) -> list[str]:
        root = folder / "clips" / "real"
        root.mkdir(parents=True)
        for number, clip in enumerate(clips):
            (root / f"{number}{clip.suffix}").symlink_to(clip.resolve())
        options = ["--corpus", "folder", "--root", f"{root.parent}", "--splits", "1", "0", "0"]
        options += ["--frames", f"{frames}", "--jobs", "1", "--out", f"{folder / 'out'}"]
        return [*DFJAX, "prepare", *options]

    def predict(clips: list[pathlib.Path], frames: int, folder: pathlib.Path) -> list[str]:
        options = ["--frames", f"{frames}", "--no-reports", "--out", f"{folder / 'out'}"]
        return [*DFJAX, "predict", "--model", f"{model}", *map(str, clips), *options]

    def live(clips: list[pathlib.Path], frames: int, _: pathlib.Path) -> list[str]:
        return ["-c", LIVE, f"{model}", f"{frames}", *map(str, clips)]

    return {"prepare": prepare} | ({"predict": predict, "live": live} if model else {})


def _measure(
    job: Job,
    trees: dict[str, pathlib.Path],
    clips: list[pathlib.Path],
    rounds: int,
    folder: pathlib.Path,
) -> dict[str, np.ndarray]:
    """Processor seconds of each round by the name of the tree, [R, 2]: of one frame, of all.

    A first round, in which programs are compiled, does not count.
    """
    seconds = {name: np.zeros((rounds + 1, 2)) for name in trees}
    for number in range(rounds + 1):
        for name in sorted(trees, reverse=bool(number % 2)):
            for column, (some, frames) in enumerate(((clips[:1], 1), (clips, FRAMES))):
                seconds[name][number, column] = _run(job, trees[name], some, frames, folder)
    return {name: values[1:] for name, values in seconds.items()}


def _run(
    job: Job, tree: pathlib.Path, clips: list[pathlib.Path], frames: int, folder: pathlib.Path
) -> float:
    """Processor seconds of a job and of all processes that it waits for."""
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        command = [sys.executable, *job(clips, frames, pathlib.Path(empty))]
        environment = {**os.environ, "PYTHONPATH": f"{tree}"}
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        error = process.stderr.read().decode(errors="replace")
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{tree}: {command} ended with {process.returncode}: {error[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def _print(job: str, seconds: dict[str, np.ndarray]) -> None:
    rows = table.Table(title=job)
    for column in ("", "CPU s on one frame", "slowest round", "on all", "slowest round", "work"):
        rows.add_column(column, justify="right" if column else "left")
    work = []
    for name, values in seconds.items():
        (one, all_), (slowest_one, slowest_all) = values.min(0), values.max(0)
        work.append(all_ - one)
        numbers = one, slowest_one, all_, slowest_all, work[-1]
        rows.add_row(name, *(f"{number:.2f}" for number in numbers))
    make_console().print(rows)
    print(f"{job}: {work[1] / work[0]:.3f} times as fast as the commit", flush=True)


if __name__ == "__main__":
    main()
