"""The weights that a run starts from: a file of anybody's, or a run of ours."""

import pathlib
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax import checkpoint, steps, tree
from dfjax.run import Run
from dfjax.weights import convert, files


def initialise(
    state: steps.TrainState,
    model: nn.Module,
    source: str,
    *,
    fresh: str,
    chosen: Collection[str] = (),
) -> tuple[steps.TrainState, convert.Report]:
    """(the state at step 0 with the weights of `source`, what became of each of them).

    `source` is a file of weights as `files.read` takes it, the workdir of a run (its best
    checkpoint), or WORKDIR/checkpoints/STEP. Parameters whose names match the regular expression
    `fresh` stay as they are; "" is none. `chosen` are the fields of `model` that were set, not left
    to its family.

    Raises:
      UserError: the weights cannot be read, do not fit the model, or were trained on images that
        were normalised otherwise, or nobody says how.
    """
    tensors, normalisation = _read(source)
    like = {"params": state.params, "batch_stats": state.batch_stats}
    variables, report = convert.convert(tensors, model, like, fresh=fresh)
    convert.require_normalisation(normalisation, model, report.library, chosen=chosen)
    placed = jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), variables, like)
    # A copy: the average is donated beside the values it starts from.
    ema = None if state.ema is None else jax.tree.map(jnp.copy, placed)
    return state.replace(**placed, ema=ema), report


def _read(source: str) -> tuple[dict[str, np.ndarray], dict[str, tuple[float, float, float]]]:
    """(tensors by name, mean and std of the images, where they are known)."""
    path = pathlib.Path(source)
    if not path.is_dir():
        file = files.read(source)
        return file.tensors, file.normalisation
    is_step = path.parent.name == checkpoint.FOLDER and path.name.isdecimal()
    workdir, step = (path.parent.parent, int(path.name)) if is_step else (path, None)
    run = Run.open(workdir)
    variables, _ = run.variables(step)
    tensors = dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))
    return tensors, {"mean": run.model.mean, "std": run.model.std}
