"""What a config says, as the parts that a run is made of."""

import functools
from collections.abc import Callable, Iterator

import jax
import ml_collections
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh

from dfjax import models, optim, pooling, sharding, steps
from dfjax.augment import batch as augment_batch
from dfjax.augment.settings import Settings
from dfjax.data import pipeline, sampling
from dfjax.data.degrade import Degrade
from dfjax.errors import UserError


def build(
    config: ml_collections.ConfigDict,
) -> tuple[nn.Module, optax.GradientTransformation, optax.Schedule, Callable]:
    """(model, optimizer, learning rate by step, function from a key to the state at step 0)."""
    model = models.for_backend(models.build(**config.model))
    tx, schedule = optim.make_optimizer(num_steps=config.num_steps, **config.optimizer)
    init = functools.partial(
        steps.init, model=model, tx=tx, image_size=config.data.image_size, ema=config.ema_decay > 0
    )
    return model, tx, schedule, init


def abstract_state(init: Callable[[jax.Array], steps.TrainState], mesh: Mesh) -> steps.TrainState:
    """What a checkpoint restores to: shapes, types and places of the state that `init` makes."""
    key, *_ = make_keys(0)
    return sharding.abstract(jax.eval_shape(init, key), sharding.replicated(mesh))


def check_periods(config: ml_collections.ConfigDict) -> None:
    """Checks that no period cuts a window of the log, and that something measures `select_by`.

    Raises:
      UserError: one does, or is not 1 or more; or nothing does; or `cache_views` is below 0.
    """
    evals = {f"evals.{name}.every": config.evals[name].every for name in config.evals}
    periods = {**evals, "checkpoint_every": config.checkpoint_every}
    counted = {**periods, "log_every": config.log_every, "num_steps": config.num_steps}
    for name, period in counted.items():
        if period < 1:
            raise UserError(f"{name} {period}: use 1 or more")
    if config.cache_views < 0:
        raise UserError(f"cache_views {config.cache_views}: use 1 or more, or 0 for none")
    for name, period in periods.items():
        if period % config.log_every:
            raise UserError(f"log_every {config.log_every} must divide {name} {period}")
    name, _, metric = config.select_by.partition("/")
    if name not in config.evals or not metric:
        choices = ", ".join(f"{name}/auc" for name in sorted(config.evals))
        raise UserError(f"select_by {config.select_by!r} is not measured: use one like {choices}")


def check_pooling(config: ml_collections.ConfigDict) -> None:
    """Checks that a run that pools by attention has what attention is learned from.

    Raises:
      UserError: it lacks a setting, or has one that means nothing here; or no rule has that name.
    """
    pooling.require_known(config.pooling)
    if config.pooling != pooling.LEARNED:
        return
    if not config.model.clip_attention:
        raise UserError('pooling "attention" needs a head that learns it: set model.clip_attention')
    if config.blend.share:
        raise UserError("pooling is learned from whole fakes, not from blends: set blend.share=0")
    if config.cache_views:
        raise UserError("pooling embeds each crop once, as it is stored: set cache_views=0")
    if config.clip_frames < 2:
        raise UserError(f"clip_frames {config.clip_frames}: use 2 or more")


def make_reading(config: ml_collections.ConfigDict) -> pipeline.Reading:
    """How records are read, for training and evaluation alike."""
    names = ("num_workers", "num_threads", "prefetch")
    return pipeline.Reading(**{name: config.data[name] for name in names})


def make_stream(
    config: ml_collections.ConfigDict, pairs: sampling.Pairs
) -> Callable[..., Iterator[dict[str, np.ndarray]]]:
    """The batches of a run as this process reads them: a function of `start`, the first step."""
    return functools.partial(
        pipeline.train_stream,
        pairs,
        batch_size=config.batch_size,
        image_size=config.data.image_size,
        degrade=Degrade(**config.degrade),
        seed=config.seed,
        reading=make_reading(config),
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def make_keys(seed: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The keys of initialisation, of the train step, and of augmentation."""
    init_key, train_key, augment_key = jax.random.split(jax.random.key(seed), 3)
    return init_key, train_key, augment_key


def make_augment(config: ml_collections.ConfigDict) -> Callable:
    """What the pairs of a run go through: (batch, key) to a batch, see `augment.batch`."""
    settings = Settings(**config.augment, blends=config.blend.share > 0)
    return functools.partial(augment_batch.augment, settings=settings)


def make_sampling(config: ml_collections.ConfigDict) -> sampling.Sampling:
    """How the pairs of a run are drawn."""
    return sampling.Sampling(config.data.pairing, tuple(config.data.balance), **config.blend)
