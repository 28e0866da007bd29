"""Speed of `dfjax predict --live`; peer: the same detector, given each frame as a picture."""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from rich import table

from dfjax.console import make_console
from dfjax.corpora.synthetic import corpus
from dfjax.inference import live, runtimes
from dfjax.inference.detector import Detector
from dfjax.media import stream, video

SECONDS, FPS = 20, 30  # of the drawn video
PEER_FRAMES = 32  # spread over the video


def main() -> None:
    """Plays a video as if it were live, and prints what each frame costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a run of aligned faces, or its export")
    parser.add_argument("--runtime", choices=tuple(runtimes.RUNTIMES), help="(the fastest)")
    parser.add_argument("--source", help="a video (two drawn people, 1280 x 720, 30 frames/s)")
    arguments = parser.parse_args()
    detector = Detector.load(arguments.model, runtime=arguments.runtime)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.source or str(_draw_video(pathlib.Path(folder, "people.mp4")))
        following = live.LiveDetector(detector)
        began = time.monotonic()
        with stream.LiveSource(path) as source:
            results = list(following.run(source))
        seconds = time.monotonic() - began
        peer = _picture_seconds(detector, path)
    _print_stages(
        results, title=f"{detector.scorer.runtime}, {_num_faces(results):.1f} faces a frame"
    )
    print(
        f"judged {len(results)} of {source.num_received} frames in {seconds:.1f} s: "
        f"{len(results) / seconds:.1f} a second"
    )
    work = float(np.mean([sum(_work(result).values()) for result in results]))
    print(
        f"work of a frame: live {1e3 * work:.1f} ms, as a picture {1e3 * peer:.1f} ms: "
        f"{peer / work:.1f} times as fast"
    )


def _draw_video(path: pathlib.Path) -> pathlib.Path:
    """Two people side by side, each as large as the picture is high."""
    settings = corpus.Settings(frames=FPS * SECONDS)
    people = [corpus.film(settings, person, 0).frames for person in (3, 8)]

    def frames() -> Iterator[np.ndarray]:
        for pair in zip(*people, strict=True):
            yield np.concatenate([cv2.resize(frame, (640, 720)) for frame in pair], axis=1)

    video.write_video(path, frames(), fps=FPS, crf=20)
    return path


def _picture_seconds(detector: Detector, path: str) -> float:
    """Mean seconds of a frame that is searched whole and judged by itself; decoding not counted."""
    frames = video.read_video(path, PEER_FRAMES).frames
    detector.image(frames[0])  # compiles
    began = time.perf_counter()
    for frame in frames:
        detector.image(frame)
    return (time.perf_counter() - began) / len(frames)


def _num_faces(results: Sequence[live.LiveResult]) -> float:
    return float(np.mean([len(result.faces) for result in results]))


def _work(result: live.LiveResult) -> dict[str, float]:
    """Seconds of the stages that work on a frame whose pixels are at hand, as the peer's are."""
    return {name: value for name, value in result.seconds.items() if name != "wait"}


def _print_stages(results: Sequence[live.LiveResult], *, title: str) -> None:
    rows = table.Table(title=title)
    for column in ("stage", "mean ms", "p95 ms"):
        rows.add_column(column, justify="left" if column == "stage" else "right")
    stages = {name: [result.seconds[name] for result in results] for name in results[0].seconds}
    stages["all, from arrival"] = [result.latency for result in results]
    for name, values in stages.items():
        rows.add_row(name, f"{1e3 * np.mean(values):.1f}", f"{1e3 * np.percentile(values, 95):.1f}")
    make_console().print(rows)


if __name__ == "__main__":
    main()
