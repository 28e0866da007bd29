"""Speed of one network by the run itself and by every runtime of its export; peer: ONNX Runtime."""

import argparse
import functools
import pathlib
import tempfile

import jax
import numpy as np
import optax
from rich import table

from benchmarks import timing, untrained
from dfjax import models, steps
from dfjax.console import make_console
from dfjax.export import export
from dfjax.inference import runtimes

PEER = "onnx"


def main() -> None:
    """Prints a table for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50", help="of the model registry (%(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side of crops, px (%(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], metavar="N")
    arguments = parser.parse_args()
    size, model = arguments.size, models.build(arguments.model)
    state = untrained.make_state(model, size, optax.identity())
    variables = jax.device_get(state.eval_variables)
    predict = functools.partial(steps.predict, model=model, image_size=size)
    functions = {"flax": functools.partial(jax.jit(predict), jax.device_put(variables))}
    crops = untrained.make_crops(max(arguments.batches), size)
    with tempfile.TemporaryDirectory() as folder:
        card = untrained.make_card(arguments.model, size)
        export.write(pathlib.Path(folder), card, model, variables)
        for name, runtime in runtimes.RUNTIMES.items():
            functions[name] = runtime.open(pathlib.Path(folder, runtime.artefact))
        for batch in arguments.batches:
            seconds = timing.measure(functions, crops[:batch])
            _print(f"{arguments.model}, {size} px, batch {batch}", batch, seconds)


def _print(title: str, batch: int, seconds: dict[str, np.ndarray]) -> None:
    rows = table.Table(title=title)
    for column in ("runtime", "ms per batch, median", "fastest", "images/s", f"times {PEER}"):
        rows.add_column(column, justify="left" if column == "runtime" else "right")
    medians = {name: np.median(values) for name, values in seconds.items()}
    for name in sorted(medians, key=medians.get):
        rows.add_row(
            name,
            f"{1e3 * medians[name]:.1f}",
            f"{1e3 * seconds[name].min():.1f}",
            f"{batch / medians[name]:.1f}",
            f"{medians[PEER] / medians[name]:.2f}",
        )
    make_console().print(rows)


if __name__ == "__main__":
    main()
