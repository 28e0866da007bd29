"""What augmentation costs, as a share of the train step of a network.

    python -m benchmarks.augment [NAME[@SIDExBATCH]]

Every row is one augmentation, alone and always computed, as it is wherever its probability is not
0. On a CPU, milliseconds are of the processor, all threads together; on a GPU, of a clock.
"""

import argparse
import functools
import time
from collections.abc import Callable

import numpy as np

from benchmarks import networks, train_step
from benchmarks.networks import Network
from dfjax import allocator
from dfjax.console import print_line

MOTION = {"flip": 0.5, "rotate": 10.0, "zoom": 0.1, "shift": 0.05}
ALONE = ("colour", "blur", "noise", "jpeg", "mixup", "cutout")
ALL = {**MOTION, **dict.fromkeys(ALONE, 0.5)}
ROWS = {
    "geometry": MOTION,
    **{name: {name: 0.5} for name in ALONE},
    "blends": {"blends": True},
    "all but blends": ALL,
    "all": {**ALL, "blends": True},
}


def make_pairs(network: Network) -> dict[str, np.ndarray]:
    """A batch of aligned pairs as the loader yields them, of noise."""
    count, side = network.batch, network.side
    rows = np.arange(count, dtype=np.int32)
    eyes_and_nose = [[0.66, 0.42], [0.58, 0.42], [0.34, 0.42], [0.42, 0.42], [0.5, 0.61]]
    return {
        "image": np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8),
        "label": rows % 2,
        "kind": np.zeros(count, np.int32),
        "aligned": np.ones(count, bool),
        "landmarks": np.tile(np.float32(eyes_and_nose), (count, 1, 1)),
        "index": rows // 2,
    }


def seconds_of(step: Callable[[], object], clock: Callable[[], float], rounds: int = 5) -> float:
    """Seconds of a step: the least of some rounds after the first."""
    step()
    taken = []
    for _ in range(rounds):
        began = clock()
        step()
        taken.append(clock() - began)
    return min(taken)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", nargs="?", default="efficientnet_lite0@112x64")
    (network,) = networks.parse(parser.parse_args().network)
    allocator.keep_freed_memory()
    import jax

    from dfjax.augment import batch
    from dfjax.augment.settings import Settings

    device = jax.devices()[0]
    is_cpu = device.platform == "cpu"
    measure = functools.partial(
        seconds_of, clock=time.process_time if is_cpu else time.perf_counter
    )
    step = measure(train_step.make_dfjax(network).step) / network.batch
    print_line(f"{network}, {device.device_kind}: {1e3 * step:.4g} ms an image of a plain step")
    unit = "CPU ms" if is_cpu else "ms"
    for line in ("", f"| augmentation | {unit} an image | share of the step |", "|---|---|---|"):
        print_line(line)
    pairs, key = jax.device_put(make_pairs(network)), jax.random.key(0)
    for name, fields in ROWS.items():
        augment = jax.jit(functools.partial(batch.augment, settings=Settings(**fields)))
        work = functools.partial(lambda f: jax.block_until_ready(f(pairs, key)), augment)
        seconds = measure(work) / network.batch
        print_line(f"| {name} | {1e3 * seconds:.3g} | {100 * seconds / step:.1f} % |")


if __name__ == "__main__":
    main()
