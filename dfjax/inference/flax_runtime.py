"""The network itself, by Flax: of a run, or of the file of weights in an export.

Loads JAX and Flax, which the other runtimes of exports do without.
"""

import functools
import os
import pathlib
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dfjax import model_card, models
from dfjax.familiarity import gate
from dfjax.inference import explain
from dfjax.inference.network import Function, Network
from dfjax.model_card import ModelCard
from dfjax.weights import model_file


def open_run(workdir: str | os.PathLike) -> tuple[ModelCard, Network, Function]:
    """Returns (the model card, crops to outputs, crops to heat maps) of the run in `workdir`.

    Raises:
      UserError: it cannot be used (`Run.evaluated`).
    """
    from dfjax.run import Run  # loads Orbax, which a file of weights does without

    card, model, variables = Run.open(workdir).evaluated()
    return card, *_functions(card, model, variables)


def open_weights(path: pathlib.Path) -> tuple[Network, Function]:
    """Returns (crops to outputs, crops to heat maps) of a file that lies next to its card."""
    card = model_card.read(path.parent)
    return _functions(card, *model_file.read(path, card))


def _functions(
    card: ModelCard, model: nn.Module, variables: dict[str, Any]
) -> tuple[Network, Function]:
    bound = {"model": models.for_backend(model), "image_size": card.image_size}
    # On one device: on all of them, each would compute the same.
    variables = jax.device_put(variables, jax.local_devices()[0])
    predict = jax.jit(functools.partial(gate.predict, **bound, maps=card.maps))
    heat_map = jax.jit(functools.partial(explain.heat_map, **bound))
    return _bind(predict, variables), _bind(heat_map, variables)


def _bind(function: Any, variables: dict[str, Any]) -> Any:
    return lambda crops: jax.tree.map(np.asarray, function(variables, crops))
