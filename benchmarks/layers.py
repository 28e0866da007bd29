"""Layers and their gradients in the forms for a CPU; peer: XLA's own operations."""

import functools
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
from flax import linen as nn

from dfjax import allocator
from dfjax.console import print_line
from dfjax.models import layers, pooling

BATCH, ROUNDS, CALLS = 16, 5, 3
# Side and channels of the images, and the layer by its form.
Make = Callable[[str], Callable[..., jax.Array]]
LAYERS: dict[str, tuple[int, int, Make]] = {}


def _conv(side: int, inputs: int, features: int, kernel: int, strides: int = 1, groups: int = 1):
    name = f"{kernel}x{kernel}, {side} px, {inputs} to {features}"
    name += f", stride {strides}" * (strides > 1) + f", {groups} groups" * (groups > 1)

    def make(form: str) -> nn.Module:
        return layers.conv(features, kernel, strides, form=form, feature_group_count=groups)

    LAYERS[name] = side, inputs, make


_conv(14, 480, 480, 5, groups=480)
_conv(32, 96, 96, 7, groups=96)
_conv(64, 96, 96, 3, 2, groups=96)
_conv(32, 128, 128, 3, groups=32)
_conv(8, 512, 512, 3, groups=32)
_conv(32, 256, 64, 1)
_conv(16, 128, 512, 1)
_conv(16, 128, 128, 3)
_conv(8, 256, 256, 3)
LAYERS["max pooling, 64 px, 64"] = (
    64,
    64,
    lambda form: functools.partial(
        pooling.max_pool, window=3, strides=2, padding=((1, 1), (1, 1)), form=form
    ),
)


def main() -> None:
    """Prints CPU milliseconds of each layer: forward, and forward with all gradients."""
    allocator.keep_freed_memory()
    print_line("| layer | forward: XLA | dfjax | with gradients: XLA | dfjax | XLA / dfjax |")
    print_line("|---|---|---|---|---|---|")
    for name, (side, channels, make) in LAYERS.items():
        x = np.random.default_rng(0).standard_normal((BATCH, side, side, channels), np.float32)
        programs = [p for form in layers.FORMS for p in _programs(make(form), x)]
        forward, trained, fast_forward, fast_trained = _measure(programs)
        shown = (f"{1e3 * s:.1f}" for s in (forward, fast_forward, trained, fast_trained))
        print_line(f"| {name} | {' | '.join(shown)} | {trained / fast_trained:.1f} |")


def _programs(layer: Callable[..., jax.Array], x: np.ndarray) -> list[Callable[[], jax.Array]]:
    """Forward, and forward with gradients, compiled."""
    if isinstance(layer, nn.Module):
        variables = jax.jit(layer.init)(jax.random.key(0), x)
        apply, arguments = layer.apply, (variables, x)
    else:
        apply, arguments = layer, (x,)

    def trained(*arguments: jax.Array) -> tuple:
        y, back = jax.vjp(apply, *arguments)
        return back(y)

    compiled = [jax.jit(f).lower(*arguments).compile() for f in (apply, trained)]
    placed = jax.device_put(arguments)
    return [functools.partial(program, *placed) for program in compiled]


def _measure(programs: list[Callable[[], jax.Array]]) -> list[float]:
    """CPU seconds of a call of each, in turns, by the median."""
    seconds: list[list[float]] = [[] for _ in programs]
    for _ in range(ROUNDS + 1):  # the first warms up
        for spent, program in zip(seconds, programs, strict=True):
            began = time.process_time()
            for _ in range(CALLS):
                jax.block_until_ready(program())
            spent.append((time.process_time() - began) / CALLS)
    return [statistics.median(spent[1:]) for spent in seconds]


if __name__ == "__main__":
    main()
