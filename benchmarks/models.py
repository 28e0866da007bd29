"""Size, work and speed of the registered models; peer: ONNX Runtime on each model's export."""

import argparse
import functools
import pathlib
import tempfile
import time

import jax
import numpy as np
import optax
from flax import linen as nn

from benchmarks import timing, untrained
from dfjax import losses, models, registry, steps
from dfjax.export import export
from dfjax.inference import runtimes
from dfjax.models import fold

PEER = "onnx"
FLOPS_PER_BATCH = 64e9  # about as much work for every model; the largest take one image at a time
MAX_BATCH = 32
MAX_SECONDS = 10  # of updates of one model
COLUMNS = (
    "model",
    "px",
    "parameters",
    "GFLOPs",
    "batch",
    "training",
    "Flax",
    "ONNX Runtime",
    "times Flax",
)


def main() -> None:
    """Prints a row of Markdown for each model as soon as it is measured; speeds are images/s."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of the model registry (all)")
    names = parser.parse_args().names or registry.names("model")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name in names:
        print(f"| {' | '.join(_row(name))} |", flush=True)
        jax.clear_caches()


def _row(name: str) -> tuple[str, ...]:
    model = models.build(name)
    size, tx = model.native_size, optax.adamw(1e-3)
    state = untrained.make_state(model, size, tx)
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    variables = jax.device_get(state.eval_variables)
    folded, constants = fold.fold(model, variables)
    predict = jax.jit(functools.partial(steps.predict, model=folded, image_size=size))
    flops = predict.lower(constants, untrained.make_crops(1, size)).cost_analysis()["flops"]
    batch = int(np.clip(2 ** np.floor(np.log2(FLOPS_PER_BATCH / flops)), 1, MAX_BATCH))
    crops = untrained.make_crops(batch, size)
    functions = {"flax": functools.partial(predict, jax.device_put(constants))}
    with tempfile.TemporaryDirectory() as folder:
        card = untrained.make_card(name, size)
        export.write(pathlib.Path(folder), card, model, variables, [PEER])
        runtime = runtimes.RUNTIMES[PEER]
        functions[PEER] = runtime.open(pathlib.Path(folder, runtime.artefact))
        seconds = timing.measure(functions, crops)
    flax, peer = (batch / np.median(seconds[runtime]) for runtime in ("flax", PEER))
    speeds = batch / _update_seconds(model, tx, state, crops), flax, peer
    head = name, str(size), f"{num_parameters / 1e6:.2f} M", f"{flops / 1e9:.2f}", str(batch)
    shown = (f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}" for speed in speeds)
    return *head, *shown, f"{peer / flax:.2f}"


def _update_seconds(
    model: nn.Module, tx: optax.GradientTransformation, state: steps.TrainState, crops: np.ndarray
) -> float:
    """Median seconds of an update from `crops`."""
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
    # The first call warms up; where it alone takes too long, it is the measurement.
    while len(seconds) < 1 + timing.ROUNDS and sum(seconds) < MAX_SECONDS:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch, key))
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:] or seconds))


if __name__ == "__main__":
    main()
