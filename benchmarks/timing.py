"""How the benchmarks measure time: in turns, and by the median."""

import time

import numpy as np

from dfjax.inference import runtimes

ROUNDS, CALLS = 3, 3


def measure(functions: dict[str, runtimes.Function], crops: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the seconds of each of `ROUNDS` * `CALLS` calls, by name.

    A first call, which compiles, is not counted. The functions take turns, so that a busy moment of
    the machine meets all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        np.asarray(function(crops))
    for _ in range(ROUNDS):
        for name, function in functions.items():
            for _ in range(CALLS):
                began = time.perf_counter()
                np.asarray(function(crops))
                seconds[name].append(time.perf_counter() - began)
    return {name: np.array(values) for name, values in seconds.items()}
