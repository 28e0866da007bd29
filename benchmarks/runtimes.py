"""Speed of one network by the run itself and by every runtime of its export; peer: ONNX Runtime."""

import argparse
import functools
import tempfile

from rich import table

from benchmarks import inference, turns, untrained
from benchmarks.networks import Network
from dfjax.console import make_console
from dfjax.export import export
from dfjax.inference import runtimes

PEER = "onnx"
EFFORT = turns.Effort(rounds=3, turn=1.0)


def main() -> None:
    """Prints a table for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50", help="of the model registry (%(default)s)")
    parser.add_argument("--size", type=int, default=224, help="side of crops, px (%(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        untrained.write_export(folder, arguments.model, arguments.size, export.FORMATS)
        makers = {
            name: functools.partial(inference.make_exported, runtime=name, folder=folder)
            for name in runtimes.RUNTIMES
        }
        for batch in arguments.batches:
            network = Network(arguments.model, arguments.size, batch)
            _print(network, turns.measure(makers, network, EFFORT))


def _print(network: Network, measured: dict[str, turns.Measurement]) -> None:
    rows = table.Table(title=f"{network.name}, {network.side} px, batch {network.batch}")
    for column in ("runtime", "ms per batch", "CPU ms", "images/s", f"times {PEER}"):
        rows.add_column(column, justify="left" if column == "runtime" else "right")
    for name, found in sorted(measured.items(), key=lambda item: item[1].seconds):
        rows.add_row(
            name,
            f"{1e3 * found.seconds:.1f}",
            f"{1e3 * found.cpu_seconds:.1f}",
            f"{network.batch / found.seconds:.1f}",
            f"{measured[PEER].seconds / found.seconds:.2f}",
        )
    make_console().print(rows)


if __name__ == "__main__":
    main()
