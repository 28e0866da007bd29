"""The timings that the documentation reports; each subcommand prints a table.

    python scripts/benchmark.py models
    python scripts/benchmark.py runtimes
    python scripts/benchmark.py stream --model runs/resnet
    python scripts/benchmark.py prepare

They are of the machine that they run on, which should do nothing else meanwhile.
"""

import argparse
import functools
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import cv2
import dlib
import jax
import numpy as np
import optax
from flax import linen as nn
from rich import console, table

from dfjax import export, losses, model_card, registry, steps
from dfjax import models as dfjax_models
from dfjax.corpora import synthetic as synthetic_corpus
from dfjax.corpora.synthetic import corpus as synthetic
from dfjax.faces import align, track
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.inference import live
from dfjax.inference import runtimes as model_runtimes
from dfjax.inference.detector import Detector
from dfjax.media import stream as media_stream
from dfjax.media import suffix, video
from dfjax.models import fold

PEER = "onnx"  # what the others are compared with: ONNX Runtime
FRAMES = 32  # that are taken of a clip
LANDMARK_FILE = "shape_predictor_68_face_landmarks.dat"
MAX_SECONDS = 10  # of updates of one model
ROUNDS, CALLS = 3, 3  # runtimes take turns, so that a busy moment of the machine meets them all


def models(arguments: argparse.Namespace) -> None:
    """Prints size, work and speed of every registered model, a row of Markdown as each is done."""
    columns = ("model", "px", "parameters", "GFLOPs", "batch", "train", "flax", PEER)
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for name in arguments.names or registry.names("model"):
        print(f"| {' | '.join(_model_row(name))} |", flush=True)
        jax.clear_caches()


def _model_row(name: str) -> tuple[str, ...]:
    """Name, side, parameters, GFLOPs of an image, batch size, images/s of three kinds."""
    model = dfjax_models.build(name)
    size = model.native_size
    image = np.zeros((1, size, size, 3), np.uint8)
    tx = optax.adamw(1e-3)
    init = functools.partial(steps.init, model=model, tx=tx, image_size=size, ema=False)
    state = jax.jit(init)(jax.random.key(0))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    folded, constants = fold.fold(model, jax.device_get(state.eval_variables))
    predict = jax.jit(functools.partial(steps.predict, model=folded, image_size=size))
    flops = predict.lower(constants, image).cost_analysis()["flops"]
    # About as much work for every model; the largest go one image at a time.
    batch = int(np.clip(2 ** np.floor(np.log2(64e9 / flops)), 1, 32))
    crops = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
    on_device = jax.device_put(constants)
    functions = {"flax": functools.partial(predict, on_device)}
    with tempfile.TemporaryDirectory() as folder:
        variables = {"batch_stats": {}, **jax.device_get(state.eval_variables)}
        export.write(pathlib.Path(folder), _card(name, size), model, variables, ["onnx"])
        artefact = pathlib.Path(folder, model_runtimes.RUNTIMES[PEER].artefact)
        functions[PEER] = model_runtimes.RUNTIMES[PEER].open(artefact)
        seconds = _measure(functions, crops)
    train = _train_seconds(model, tx, state, crops)
    rates = [batch / each for each in (train, *(np.median(s) for s in seconds.values()))]
    head = (name, str(size), f"{parameters / 1e6:.2f} M", f"{flops / 1e9:.2f}", str(batch))
    return *head, *(f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}" for rate in rates)


def _train_seconds(
    model: nn.Module, tx: optax.GradientTransformation, state: steps.TrainState, crops: np.ndarray
) -> float:
    """Median seconds of an update from as many images."""
    step = functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=losses.build("bce", label_smoothing=0.0),
        ema_decay=0.0,
        grad_accum_steps=1,
    )
    batch = {"image": crops, "label": np.arange(len(crops), dtype=np.int32) % 2}
    key, seconds = jax.random.key(1), []
    step = jax.jit(step, donate_argnums=0).lower(state, batch, key).compile()
    # The first call warms up; a model that needs long for it is timed by that alone.
    while len(seconds) < 1 + ROUNDS and sum(seconds) < MAX_SECONDS:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch, key))
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:] or seconds))


def runtimes(arguments: argparse.Namespace) -> None:
    """Prints how fast one network is by its checkpoint and by every runtime of its export."""
    size = arguments.size
    model = dfjax_models.build(arguments.model)
    crops = np.random.default_rng(0).integers(0, 256, (max(arguments.batches), size, size, 3))
    crops = crops.astype(np.uint8)
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0), crops[:1]))
    variables = {name: variables[name] for name in ("params", "batch_stats")}
    with tempfile.TemporaryDirectory() as parent:
        folder = pathlib.Path(parent)
        export.write(folder, _card(arguments.model, size), model, variables)
        predict = functools.partial(steps.predict, model=model, image_size=size)
        functions = {"flax": functools.partial(jax.jit(predict), jax.device_put(variables))}
        for name, runtime in model_runtimes.RUNTIMES.items():
            functions[name] = runtime.open(folder / runtime.artefact)
        for batch in arguments.batches:
            seconds = _measure(functions, crops[:batch])
            _print(f"{arguments.model}, {size} px, batch {batch}", batch, seconds)


def stream(arguments: argparse.Namespace) -> None:
    """Prints what `dfjax predict --live` does with a video that plays as if it were live.

    Without --source: two drawn people, 1280 x 720, 30 frames a second, no help for the finder.
    """
    model = Detector.load(arguments.model, runtime=arguments.runtime)
    following = live.LiveDetector(model)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.source or str(_draw_clip(pathlib.Path(folder, "people.mp4"), 20))
        began = time.monotonic()
        with media_stream.LiveSource(path) as source:
            results = list(following.run(source))
        seconds = time.monotonic() - began
    latency = np.array([result.latency for result in results])
    faces = np.mean([len(result.faces) for result in results])
    columns = table.Table(title=f"{model.scorer.runtime}, {faces:.1f} faces a frame")
    for name in ("stage", "mean ms", "p95 ms"):
        columns.add_column(name, justify="left" if name == "stage" else "right")
    stages = {name: [r.seconds[name] for r in results] for name in results[0].seconds}
    for name, values in {**stages, "all, from arrival": latency}.items():
        mean, p95 = 1e3 * np.mean(values), 1e3 * np.percentile(values, 95)
        columns.add_row(name, f"{mean:.1f}", f"{p95:.1f}")
    console.Console().print(columns)
    print(
        f"looked at {len(results)} of {source.num_received} frames in {seconds:.1f} s: "
        f"{len(results) / seconds:.1f} a second"
    )


def _draw_clip(path: pathlib.Path, seconds: int) -> pathlib.Path:
    """Two people side by side, each as large as the picture is high."""
    fps = 30
    settings = synthetic.Settings(frames=fps * seconds)
    people = [synthetic.film(settings, person, 0).frames for person in (3, 8)]

    def frames() -> Iterator[np.ndarray]:
        for pair in zip(*people, strict=True):
            yield np.concatenate([cv2.resize(each, (640, 720)) for each in pair], axis=1)

    video.write_video(path, frames(), fps=fps, crf=20)
    return path


def prepare(arguments: argparse.Namespace) -> None:
    """Prints how fast clips become crops, by `dfjax prepare` and by the reference's procedure.

    That one searches every frame by HOG at double size, aligns the largest face by 68 landmarks,
    searches the crop again and writes PNG, in one process. Both take the same frames and decode
    them alike. What the command takes for a single frame, to start and to end, is told apart: the
    reference's start is not counted either.
    """
    with tempfile.TemporaryDirectory() as folder:
        if arguments.videos:
            files = sorted(pathlib.Path(arguments.videos).rglob("*"))
            files = [path for path in files if suffix.is_video(path)]
            _compare_preparing(arguments.videos, files[: arguments.clips], folder)
        clips = synthetic_corpus.read_synthetic(f"{folder}/drawn", identities=12, frames=16, jobs=2)
        files = [pathlib.Path(clip.path) for clip in clips[: arguments.clips]]
        _compare_preparing("drawn clips", files, folder)


def _compare_preparing(title: str, files: list[pathlib.Path], folder: str) -> None:
    spec = CropSpec(landmarks=68)
    peer = _PeerPreparer(spec, folder)
    began = time.perf_counter()
    theirs = [peer.crop(path) for path in files]
    rows = {"the reference's procedure": (time.perf_counter() - began, 0.0)}
    for jobs in dict.fromkeys((len(os.sched_getaffinity(0)), 1)):
        start = _prepare_seconds(files[:1], folder, jobs=jobs, frames=1)
        spent = _prepare_seconds(files, folder, jobs=jobs, frames=FRAMES)
        rows[f"dfjax prepare --jobs {jobs}"] = (spent, start)
    ours = [_largest_faces(path, spec) for path in files]
    pairs = [pair for both in zip(theirs, ours, strict=True) for pair in zip(*both, strict=True)]
    _print_speed(f"{title}: {len(files)} clips, {len(pairs)} frames", len(pairs), rows)
    _print_agreement(pairs)


def _prepare_seconds(files: list[pathlib.Path], folder: str, *, jobs: int, frames: int) -> float:
    """Seconds that the command takes for these videos."""
    root = pathlib.Path(tempfile.mkdtemp(dir=folder))
    (root / "real").mkdir()
    for number, path in enumerate(files):
        (root / "real" / f"{number}_{path.name}").symlink_to(path.resolve())
    command = [sys.executable, "-m", "dfjax.cli", "prepare", "--corpus", "folder"]
    command += ["--root", f"{root}", "--splits", "1", "0", "0", "--out", f"{root / 'out'}"]
    command += ["--landmarks", "68", "--jobs", f"{jobs}", "--frames", f"{frames}"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _print_speed(title: str, num_frames: int, rows: dict[str, tuple[float, float]]) -> None:
    """`rows` are seconds, and those of them that are not of the work, by what took them."""
    shown = table.Table(title=title)
    for column in ("", "s in all", "s to start", "frames/s", "times", "times, with start"):
        shown.add_column(column, justify="right" if column else "left")
    first = next(iter(rows.values()))[0]
    for name, (spent, start) in rows.items():
        work = spent - start
        rates = f"{num_frames / work:.1f}", f"{first / work:.2f}", f"{first / spent:.2f}"
        shown.add_row(name, f"{spent:.1f}", f"{start:.1f}", *rates)
    console.Console().print(shown)


def _print_agreement(pairs: list[tuple[Face | None, Face | None]]) -> None:
    """Of the largest face of every frame, by the reference and by dfjax."""
    seen = [(theirs, ours) for theirs, ours in pairs if theirs is not None]
    same = [(a, b) for a, b in seen if b is not None and track.iou(a.box, b.box) >= 0.5]
    apart = [
        100
        * np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean()
        / np.linalg.norm(a.landmarks[36:42].mean(0) - a.landmarks[42:48].mean(0))
        for a, b in same
    ]
    num_more = sum(theirs is None and ours is not None for theirs, ours in pairs)
    print(
        f"the reference finds a face in {len(seen)} frames; dfjax finds the same, IoU 0.5 or more, "
        f"in {len(same) / len(seen):.2%} of them, and one in {num_more} others\n"
        f"landmarks are apart by {np.mean(apart):.2f} % of the distance between the eyes on "
        f"average, {np.percentile(apart, 95):.2f} % at the 95th percentile"
    )


class _PeerPreparer:
    """The procedure of the reference benchmark, with 68 landmarks in place of its 81."""

    def __init__(self, spec: CropSpec, folder: str):
        package = importlib.util.find_spec("face_recognition_models")
        models_of = pathlib.Path(package.submodule_search_locations[0], "models")
        self._find = dlib.get_frontal_face_detector()
        self._regress = dlib.shape_predictor(str(models_of / LANDMARK_FILE))
        self._spec, self._folder = spec, folder

    def crop(self, path: pathlib.Path) -> list[Face | None]:
        """Writes the crops of a clip; returns the face of each frame."""
        return [self._crop(frame) for frame in video.read_video(path, FRAMES).frames]

    def _crop(self, frame: np.ndarray) -> Face | None:
        face = self._largest(frame)
        if face is None:
            return None
        matrix = align.similarity(align.anchors(face.landmarks), align.template(self._spec))
        crop = cv2.warpAffine(frame, matrix, (self._spec.size, self._spec.size))
        again = self._largest(crop)
        if again is not None:
            path = pathlib.Path(tempfile.mkstemp(dir=self._folder)[1])
            cv2.imwrite(f"{path}.png", crop[..., ::-1])
            np.save(f"{path}.npy", again.landmarks)
        return face

    def _largest(self, image: np.ndarray) -> Face | None:
        found = self._find(image, 1)
        if not found:
            return None
        box = max(found, key=lambda each: each.area())
        points = [(point.x, point.y) for point in self._regress(image, box).parts()]
        sides = [box.left(), box.top(), box.right() + 1, box.bottom() + 1]
        return Face(np.array(sides, np.float32), np.array(points, np.float32), 0.0)


def _largest_faces(path: pathlib.Path, spec: CropSpec) -> list[Face | None]:
    """What `dfjax prepare` finds in the same frames."""
    finder = VideoFaceDetector(FaceDetector(spec))
    frames = video.read_video(path, FRAMES).frames
    return [faces[0] if (faces := finder.detect(frame)) else None for frame in frames]


def _card(model: str, size: int) -> model_card.ModelCard:
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=size)
    limits = (model_card.Limits(1, 0.5, 0.5, 1.0),)
    decisions = {"frame": model_card.Decision(0.05, 0.5, (0.0, 1.0), limits, {})}
    return model_card.ModelCard(model, {}, size, spec, decisions, "", 0, True, {})


def _measure(
    functions: dict[str, model_runtimes.Function], crops: np.ndarray
) -> dict[str, np.ndarray]:
    """Seconds of every call, after one that compiles."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        np.asarray(function(crops))
    for _ in range(ROUNDS):
        for name, function in functions.items():
            for _ in range(CALLS):
                began = time.perf_counter()
                np.asarray(function(crops))
                seconds[name].append(time.perf_counter() - began)
    return {name: np.array(each) for name, each in seconds.items()}


def _print(title: str, batch: int, seconds: dict[str, np.ndarray]) -> None:
    shown = table.Table(title=title)
    for column in ("runtime", "ms per batch, median", "fastest", "images/s", f"times {PEER}"):
        shown.add_column(column, justify="left" if column == "runtime" else "right")
    medians = {name: np.median(each) for name, each in seconds.items()}
    for name in sorted(medians, key=medians.get):
        shown.add_row(
            name,
            f"{1e3 * medians[name]:.1f}",
            f"{1e3 * seconds[name].min():.1f}",
            f"{batch / medians[name]:.1f}",
            f"{medians[PEER] / medians[name]:.2f}",
        )
    console.Console().print(shown)


def main() -> None:
    """Runs one subcommand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    subcommands = parser.add_subparsers(metavar="benchmark", required=True)
    command = subcommands.add_parser("models", help=models.__doc__)
    command.set_defaults(run=models)
    command.add_argument("names", nargs="*", help="of the registry (all)")
    command = subcommands.add_parser("runtimes", help=runtimes.__doc__)
    command.set_defaults(run=runtimes)
    command.add_argument("--model", default="resnet50")
    command.add_argument("--size", type=int, default=224, help="side of crops and input (224)")
    command.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    command = subcommands.add_parser("stream", help=stream.__doc__.splitlines()[0])
    command.set_defaults(run=stream)
    command.add_argument("--model", required=True, help="a run of aligned faces, or its export")
    command.add_argument("--runtime", choices=("flax", *model_runtimes.RUNTIMES))
    command.add_argument("--source", help="a video to play instead of the drawn one")
    command = subcommands.add_parser("prepare", help=prepare.__doc__.splitlines()[0])
    command.set_defaults(run=prepare)
    data = os.environ.get("DFJAX_TEST_DATA")
    command.add_argument(
        "--videos",
        metavar="DIR",
        default=data and os.path.join(data, "videos"),
        help="clips to prepare besides drawn ones (DFJAX_TEST_DATA/videos)",
    )
    command.add_argument("--clips", type=int, metavar="N", help="the first N only")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
