"""Speed of judging strangers' files in the sandbox; peer: the same extractor in this process."""

import argparse
import functools
import os
import pathlib
import tempfile
import time
from collections.abc import Callable

import cv2
import numpy as np
from rich import table

from dfjax.console import make_console
from dfjax.corpora.synthetic import corpus
from dfjax.inference.detector import Detector
from dfjax.inference.extract import NUM_FRAMES, ExtractedFaces, FaceExtractor
from dfjax.inference.sandboxed import SandboxedExtractor
from dfjax.media import image, suffix, video

FRAMES = 64  # of a drawn clip
SECONDS = 60.0  # for a file
GOAL = 0.97  # of the peer's rate

Extract = Callable[[pathlib.Path], ExtractedFaces]


def main() -> None:
    """Prints the rates of decoding and scoring, of pictures and of clips, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a run of aligned faces, or its export")
    parser.add_argument("--rounds", type=int, metavar="N", default=10, help="(%(default)s)")
    parser.add_argument("--files", type=int, metavar="N", default=4, help="of each kind (4)")
    parser.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("DFJAX_TEST_DATA"),
        help="pictures and clips to judge in addition to drawn ones (DFJAX_TEST_DATA)",
    )
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # as many as a sandboxed process has
    detector = Detector.load(arguments.model)
    with SandboxedExtractor() as sandboxed, tempfile.TemporaryDirectory() as folder:
        print(f"confined by {', '.join(sandboxed.sandbox.layers)}")
        extract: dict[str, Extract] = {
            "in this process": FaceExtractor(detector.crop_spec).file,
            "in the sandbox": functools.partial(
                sandboxed.file, spec=detector.crop_spec, num_frames=NUM_FRAMES, seconds=SECONDS
            ),
        }
        drawn = _draw(pathlib.Path(folder), arguments.files)
        found = _find(arguments.data, arguments.files) if arguments.data else {}
        measured = []
        for title, paths in {**drawn, **found}.items():
            measured.append(_measure(detector, extract, paths, arguments.rounds))
            _print_rates(title, len(paths), measured[-1])
    own, sandboxed = (sum(seconds[name] for seconds in measured) for name in extract)
    print(
        f"all files: the sandbox keeps {np.median(own / sandboxed):.3f} of the rate (goal: {GOAL})"
    )


def _draw(folder: pathlib.Path, count: int) -> dict[str, list[pathlib.Path]]:
    """Clips of drawn people, and the first frame of each as a picture."""
    clips, pictures = [], []
    for person in range(count):
        frames = corpus.film(corpus.Settings(frames=FRAMES), person, 0).frames
        clips.append(folder / f"{person}.mp4")
        video.write_video(clips[-1], frames, fps=25, crf=23)
        pictures.append(folder / f"{person}.png")
        pictures[-1].write_bytes(image.encode_image(frames[0], "png"))
    return {"drawn pictures": pictures, f"drawn clips of {FRAMES} frames": clips}


def _find(data: str, count: int) -> dict[str, list[pathlib.Path]]:
    paths = sorted(pathlib.Path(data).rglob("*"))
    found = {
        f"pictures of {data}": [path for path in paths if suffix.is_image(path)][:count],
        f"clips of {data}": [path for path in paths if suffix.is_video(path)][:count],
    }
    return {title: chosen for title, chosen in found.items() if chosen}


def _measure(
    detector: Detector, extract: dict[str, Extract], paths: list[pathlib.Path], rounds: int
) -> dict[str, np.ndarray]:
    """Seconds of each round over all files, by name; a first round is not counted.

    The two take turns file by file, so that a busy moment of the machine meets both.
    """
    seconds = {name: np.zeros(rounds + 1) for name in extract}
    for number in range(rounds + 1):
        for path in paths:
            for name in sorted(extract, reverse=bool(number % 2)):
                began = time.perf_counter()
                detector.score(extract[name](path))
                seconds[name][number] += time.perf_counter() - began
    return {name: values[1:] for name, values in seconds.items()}


def _print_rates(title: str, num_files: int, seconds: dict[str, np.ndarray]) -> None:
    own, sandboxed = seconds.values()
    rows = table.Table(title=f"{title}: {num_files} files, {len(own)} rounds")
    for column in ("", "files/s", "fastest round", "slowest round"):
        rows.add_column(column, justify="right" if column else "left")
    for name, values in seconds.items():
        rates = num_files / np.array([np.median(values), values.min(), values.max()])
        rows.add_row(name, *(f"{rate:.2f}" for rate in rates))
    make_console().print(rows)
    added = 1e3 * np.median(sandboxed - own) / num_files
    print(f"the sandbox keeps {np.median(own / sandboxed):.3f} of the rate, {added:+.1f} ms a file")


if __name__ == "__main__":
    main()
