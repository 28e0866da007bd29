"""Size, work and speed of the registered models; peer: ONNX Runtime on each model's export."""

import argparse
import functools

import jax
import numpy as np
import optax

from benchmarks import inference, tables, train_step, turns, untrained
from benchmarks.networks import Network
from dfjax import models, registry, steps
from dfjax.console import print_line
from dfjax.models import fold

FLOPS_PER_BATCH = 64e9  # about as much work for every model; the largest take one image at a time
MAX_BATCH = 32
EFFORT = turns.Effort(rounds=3, turn=1.0, limit=10.0)
PROGRAMS = {
    "training": train_step.PROGRAMS["dfjax"],
    "inference": inference.PROGRAMS["dfjax"],
    "ONNX Runtime": inference.PROGRAMS["ONNX Runtime"],
}
COLUMNS = "model", "px", "parameters", "GFLOPs", "batch", *PROGRAMS, "times dfjax"


def main() -> None:
    """Prints a row of Markdown for each model as soon as it is measured; speeds are images/s."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of the model registry (all)")
    names = parser.parse_args().names or registry.names("model")
    for line in tables.head(*COLUMNS):
        print_line(line)
    for name in names:
        print_line(tables.line(*_row(name)))


def _row(name: str) -> tuple[str, ...]:
    num_parameters, flops = _size(name)
    batch = int(np.clip(2 ** np.floor(np.log2(FLOPS_PER_BATCH / flops)), 1, MAX_BATCH))
    network = Network(name, models.build(name).native_size, batch)
    measured = turns.measure(PROGRAMS, network, EFFORT)
    for error in tables.errors(network, measured):
        print_line(error, error=True)
    speeds = [batch / found.seconds for found in measured.values()]
    head = name, f"{network.side}", f"{num_parameters / 1e6:.2f} M", f"{flops / 1e9:.2f}"
    return *head, f"{batch}", *map(tables.show, speeds), tables.show_ratio(speeds[2], speeds[1])


def _size(name: str) -> tuple[int, float]:
    """(parameters, floating-point operations for an image of the native size)."""
    model = models.build(name)
    size = model.native_size
    state = untrained.make_state(model, size, optax.identity())
    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    folded, constants = fold.fold(model, jax.device_get(state.eval_variables))
    predict = jax.jit(functools.partial(steps.predict, model=folded, image_size=size))
    flops = predict.lower(constants, untrained.make_crops(1, size)).cost_analysis()["flops"]
    return num_parameters, flops


if __name__ == "__main__":
    main()
