"""The weights that a run starts from: a file of any library, or an earlier run."""

import pathlib
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax import checkpoint, steps, tree
from dfjax.models import key_names
from dfjax.run import Run
from dfjax.weights import convert, files, normalization, shipped


def load(
    source: str,
    model: nn.Module,
    like: steps.TrainState,
    *,
    reinit: str,
    chosen: Collection[str] = (),
) -> tuple[dict[str, Any], convert.Transfer]:
    """Returns (variables of `model` with the weights of `source`, which of them went where).

    `source` is what `weights.sources` explains, the workdir of a run (its best checkpoint), or
    WORKDIR/checkpoints/STEP. `like` is a state, or an abstract one. Parameters whose names match
    the regular expression `reinit` are those of `like`; "" is none. `chosen` are the fields of
    `model` that are not its family's defaults.

    Raises:
      UserError: the weights cannot be read, do not fit the model, or were trained on images that
        were normalized differently, or in an unknown way.
    """
    weights = _read(source)
    variables, transfer = convert.convert(
        weights.tensors,
        model,
        {"params": like.params, "batch_stats": like.batch_stats},
        reinit=reinit,
        made_for=weights.made_for,
    )
    normalization.require_same(weights.stated, model, transfer.library, chosen=chosen)
    return variables, transfer


def place(variables: dict[str, Any], state: steps.TrainState) -> steps.TrainState:
    """Returns the state at step 0 with `variables`, but for those that are abstract."""
    old = {"params": state.params, "batch_stats": state.batch_stats}
    placed = jax.tree.map(_place_one, variables, old)
    # A copy: the average is donated together with the values it starts from.
    ema = None if state.ema is None else jax.tree.map(jnp.copy, placed)
    return state.replace(**placed, ema=ema)


def _place_one(new: np.ndarray | jax.ShapeDtypeStruct, old: jax.Array) -> jax.Array:
    return old if isinstance(new, jax.ShapeDtypeStruct) else jax.device_put(new, old.sharding)


class _Weights(NamedTuple):
    """Tensors by name, mean and std of the images if they are stated, the model's name if it is."""

    tensors: dict[str, np.ndarray]
    stated: key_names.Normalization
    made_for: str


def _read(source: str) -> _Weights:
    path = pathlib.Path(source)
    if source in shipped.names() or not path.is_dir():
        file = files.read(source)
        return _Weights(file.tensors, file.normalization, file.metadata.get("model", ""))
    is_step = path.parent.name == checkpoint.FOLDER and path.name.isdecimal()
    workdir, step = (path.parent.parent, int(path.name)) if is_step else (path, None)
    run = Run.open(workdir)
    variables, _ = run.variables(step)
    tensors = dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))
    return _Weights(tensors, {"mean": run.model.mean, "std": run.model.std}, run.config.model.name)
