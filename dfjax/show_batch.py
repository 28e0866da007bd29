"""What a config would train on at a step, as a picture; nothing is trained."""

import contextlib
import pathlib

import jax
import ml_collections

from dfjax import contact_sheet, pooling, recipe, sharding
from dfjax.data import builder
from dfjax.data.training import Training
from dfjax.errors import UserError


def show_batch(config: ml_collections.ConfigDict, step: int, out: pathlib.Path) -> None:
    """Writes a contact sheet of the batch that follows `step` updates, as `train` would see it.

    Raises:
      UserError: the data cannot be read, lack a class, or the batch size does not fit.
    """
    if config.pooling == pooling.LEARNED:
        raise UserError(
            "what learns pooling sees crops as they are stored: there is no batch to draw"
        )
    mesh = sharding.make_mesh()
    sharding.check_train_batch_size(config.batch_size, mesh, config.grad_accum_steps)
    dataset = builder.open_dataset(config.data.dir)
    training = Training.open(dataset, config.data.train_split, config.data.more)
    pairs = training.pairs(recipe.make_sampling(config), seed=config.seed)
    with contextlib.closing(recipe.make_stream(config, pairs)(start=step)) as stream:
        read = next(stream)
    *_, key = recipe.make_keys(config.seed)
    augment = jax.jit(recipe.make_augment(config), out_shardings=sharding.by_batch(mesh))
    contact_sheet.write(out, read, augment(sharding.put_batch(read, mesh), key))
