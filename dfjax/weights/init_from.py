"""The weights that a run starts from: a file of any library, or an earlier run."""

import pathlib
from collections.abc import Collection
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax import checkpoint, steps, tree
from dfjax.models import key_names
from dfjax.run import Run
from dfjax.weights import convert, files, normalization, sources


def initialize(
    state: steps.TrainState,
    model: nn.Module,
    source: str,
    *,
    reinit: str,
    chosen: Collection[str] = (),
) -> tuple[steps.TrainState, convert.Transfer]:
    """Returns (the state at step 0 with the weights of `source`, which of them went where).

    `source` is what `weights.sources` explains, the workdir of a run (its best checkpoint), or
    WORKDIR/checkpoints/STEP. Parameters whose names match the regular expression `reinit` stay as
    they are; "" is none. `chosen` are the fields of `model` that are not its family's defaults.

    Raises:
      UserError: the weights cannot be read, do not fit the model, or were trained on images that
        were normalized differently, or in an unknown way.
    """
    weights = _read(source)
    like = {"params": state.params, "batch_stats": state.batch_stats}
    variables, transfer = convert.convert(
        weights.tensors, model, like, reinit=reinit, made_for=weights.made_for
    )
    normalization.require_same(weights.stated, model, transfer.library, chosen=chosen)
    placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), variables, like)
    # A copy: the average is donated together with the values it starts from.
    ema = None if state.ema is None else jax.tree.map(jnp.copy, placed)
    return state.replace(**placed, ema=ema), transfer


class _Weights(NamedTuple):
    """Tensors by name, mean and std of the images if they are stated, the model's name if it is."""

    tensors: dict[str, np.ndarray]
    stated: key_names.Normalization
    made_for: str


def _read(source: str) -> _Weights:
    path = pathlib.Path(source)
    if source in sources.shipped() or not path.is_dir():
        file = files.read(source)
        return _Weights(file.tensors, file.normalization, file.metadata.get("model", ""))
    is_step = path.parent.name == checkpoint.FOLDER and path.name.isdecimal()
    workdir, step = (path.parent.parent, int(path.name)) if is_step else (path, None)
    run = Run.open(workdir)
    variables, _ = run.variables(step)
    tensors = dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))
    return _Weights(tensors, {"mean": run.model.mean, "std": run.model.std}, run.config.model.name)
