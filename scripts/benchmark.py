"""The timings that the documentation reports; each subcommand prints a table.

    python scripts/benchmark.py models
    python scripts/benchmark.py runtimes
    python scripts/benchmark.py stream --model runs/resnet

They are of the machine that they run on, which should do nothing else meanwhile.
"""

import argparse
import functools
import pathlib
import tempfile
import time
from collections.abc import Iterator

import cv2
import jax
import numpy as np
import optax
from flax import linen as nn
from rich import console, table

from dfjax import export, losses, model_card, registry, steps
from dfjax import models as dfjax_models
from dfjax.data import synthetic
from dfjax.faces import align
from dfjax.inference import live
from dfjax.inference import runtimes as model_runtimes
from dfjax.inference.detector import Detector
from dfjax.media import stream as media_stream
from dfjax.media import video
from dfjax.models import fold

PEER = "onnx"  # what the others are compared with: ONNX Runtime
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
    return *head, *(f"{rate:.3g}" for rate in rates)


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
        accumulation=1,
    )
    step = jax.jit(step, donate_argnums=0)
    batch = {"image": crops, "label": np.arange(len(crops), dtype=np.int32) % 2}
    key, seconds = jax.random.key(1), []
    for _ in range(1 + ROUNDS):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch, key))
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:]))  # the first call compiles


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
    columns = table.Table(title=f"{model.model.runtime}, {faces:.1f} faces a frame")
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
    people = [synthetic.record(settings, person, 0).frames for person in (3, 8)]

    def frames() -> Iterator[np.ndarray]:
        for pair in zip(*people, strict=True):
            yield np.concatenate([cv2.resize(each, (640, 720)) for each in pair], axis=1)

    video.write_video(path, frames(), fps=fps, crf=20)
    return path


def _card(model: str, size: int) -> model_card.ModelCard:
    spec = align.CropSpec(crops="as-is", detector="none", landmarks=0, size=size)
    decisions = {"frame": model_card.Decision(0.5, 0.5, 0.5, 0.05)}
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
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
