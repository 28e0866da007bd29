"""Functions of crops as StableHLO, which JAX reads on CPU, CUDA and TPU."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dfjax.model_card import ModelCard

PLATFORMS = ("cpu", "cuda", "tpu")


def write(
    path: pathlib.Path,
    function: Callable[[dict[str, Any], jax.Array], jax.Array],
    variables: dict[str, Any],
    card: ModelCard,
) -> None:
    """Writes `function(variables, crops)` as a file, for uint8 [B, S, S, 3] and any B from 1."""
    size = card.crop_spec.size
    shape = jax.export.symbolic_shape(f"b, {size}, {size}, 3")
    bound = jax.jit(functools.partial(function, variables))
    exported = jax.export.export(bound, platforms=PLATFORMS)(jax.ShapeDtypeStruct(shape, np.uint8))
    path.write_bytes(exported.serialize())
