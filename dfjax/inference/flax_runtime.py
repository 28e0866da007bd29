"""The runtime of runs: the network itself, by Flax; `runtimes` has those of exports.

Loads JAX, Flax and Orbax, which no export needs for its scores.
"""

import functools
import os
from typing import Any

import jax
import numpy as np

from dfjax import models
from dfjax.familiarity import gate
from dfjax.inference import explain
from dfjax.inference.runtimes import Function, Network
from dfjax.model_card import ModelCard
from dfjax.run import Run


def open_run(workdir: str | os.PathLike) -> tuple[ModelCard, Network, Function]:
    """Returns (the model card, crops to outputs, crops to heat maps) of the run in `workdir`.

    Raises:
      UserError: it cannot be used (`Run.evaluated`).
    """
    card, model, variables = Run.open(workdir).evaluated()
    bound = {"model": models.for_backend(model), "image_size": card.image_size}
    # On one device: on all of them, each would compute the same.
    variables = jax.device_put(variables, jax.local_devices()[0])
    predict = jax.jit(functools.partial(gate.predict, **bound, maps=card.maps))
    heat_map = jax.jit(functools.partial(explain.heat_map, **bound))
    return card, _bind(predict, variables), _bind(heat_map, variables)


def _bind(function: Any, variables: dict[str, Any]) -> Any:
    return lambda crops: jax.tree.map(np.asarray, function(variables, crops))
