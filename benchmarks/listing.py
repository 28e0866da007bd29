"""CPU time of reading the names of a corpus: an invented DFDC of 128,150 empty videos."""

import argparse
import json
import logging
import pathlib
import tempfile
import time

from dfjax import corpora, registry

PARTS = 50
REALS, FAKES = 383, 2000  # of a part: 119,150 videos in all
HELD_OUT = {"validation": 4000, "test": 5000}
GOAL = 3.0  # seconds


def main() -> None:
    """Prints the CPU seconds of each reading, the median, and the clips of a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="(%(default)s)")
    parser.add_argument(
        "--scale", type=float, metavar="X", default=1.0, help="of the number of videos (1)"
    )
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # the tree lacks some videos on purpose
    corpora.register_all()
    with tempfile.TemporaryDirectory() as folder:
        draw_tree(pathlib.Path(folder), arguments.scale)
        seconds = sorted(_read(folder) for _ in range(arguments.rounds))
    median = seconds[len(seconds) // 2]
    print(f"median {median:.2f} s of CPU (goal: {GOAL:.0f} s for all videos)")


def draw_tree(root: pathlib.Path, scale: float) -> None:
    """Makes folders, label files and empty videos as in DFDC, `scale` times as many."""
    for part in range(PARTS):
        folder = root / f"train/dfdc_train_part_{part}"
        reals = [f"r{part:02}x{number:06}.mp4" for number in range(round(REALS * scale))]
        fakes = [f"f{part:02}x{number:06}.mp4" for number in range(round(FAKES * scale))]
        entries = {name: {"label": "REAL", "split": "train"} for name in reals}
        entries |= {
            name: {"label": "FAKE", "split": "train", "original": reals[number % len(reals)]}
            for number, name in enumerate(fakes)
        }
        _touch(folder, list(entries))
        (folder / "metadata.json").write_text(json.dumps(entries))
    for split, count in HELD_OUT.items():
        names = [f"{split[0]}{number:09}.mp4" for number in range(round(count * scale))]
        _touch(root / split, names)
        rows = (f"{name},{number % 2}" for number, name in enumerate(names))
        (root / split / "labels.csv").write_text("\n".join(["filename,label", *rows]))


def _touch(folder: pathlib.Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


def _read(root: str) -> float:
    """Returns the CPU seconds of one reading."""
    began = time.process_time()
    clips = registry.build("corpus", "dfdc", root=root)
    seconds = time.process_time() - began
    print(f"{len(clips):,} clips in {seconds:.2f} s of CPU: {len(clips) / seconds:,.0f} a second")
    return seconds


if __name__ == "__main__":
    main()
