"""A training run: build, restore, loop."""

import contextlib
import functools
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
import optax
from clu import parameter_overview
from flax import linen as nn
from jax.sharding import Mesh

from dfjax import checkpoint, losses, models, optim, progress, sharding, steps, writer
from dfjax.data import builder, leaks, pipeline, transforms
from dfjax.errors import UserError
from dfjax.evaluators import evaluator
from dfjax.weights import init_from


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """Trains to `config.num_steps`; the same call resumes after the newest checkpoint.

    The state at step n has seen exactly batches 0 to n - 1, whose content is a function of
    (seed, step), so a resumed run does what an uninterrupted one would have done.

    Raises:
      UserError: a setting does not fit; the message says which and what would.
      UserError: a loss or a gradient is not finite; the message names the step, and the
        checkpoints are those of earlier steps.
    """
    mesh = sharding.make_mesh()
    sharding.check_train_batch_size(config.batch_size, mesh, config.grad_accum_steps)
    for name in ("eval_every", "checkpoint_every"):
        if config[name] % config.log_every:
            raise UserError(f"log_every {config.log_every} must divide {name} {config[name]}")
    dataset = builder.open_dataset(config.data.dir)
    if not config.data.allow_leaks:
        leaks.require_none(config.data.dir)
    checkpoint.describe_run(workdir, config=config.to_dict(), crop_spec=dataset.crop_spec)
    say = functools.partial(print, flush=True) if jax.process_index() == 0 else lambda *_: None

    everywhere, (init_key, train_key) = sharding.replicated(mesh), _keys(config.seed)
    model, tx, schedule, init = build(config)
    like = abstract_state(init, mesh)
    count = parameter_overview.count_parameters(like.params)
    say(f"{config.model.name}: {count:,} parameters, {mesh.size} x {jax.devices()[0].device_kind}")

    checkpoints = checkpoint.Checkpoints(workdir, keep=config.keep_checkpoints)
    start = checkpoints.latest_step or 0
    if start:
        state = checkpoints.restore(start, like)
        say(f"resuming {workdir} at step {start}")
    else:
        state = jax.jit(init, out_shardings=everywhere)(init_key)
        if config.init_from:
            state, transfer = init_from.initialize(
                state,
                model,
                config.init_from,
                reinit=config.reinit,
                chosen=[field for field, value in config.model.items() if value is not None],
            )
            say(f"starting from {config.init_from}: {transfer}")
            if transfer.reinitialized:
                # Also where the source is a run, whose head has learned to tell fakes apart.
                count = f"{len(transfer.reinitialized)} parameters"
                say(f"{config.reinit} starts afresh, {count}: reinit='' takes over all")
    history = [r["val/auc"] for r in writer.read_rows(workdir, to_step=start) if "val/auc" in r]

    loss = losses.build(config.loss, label_smoothing=config.label_smoothing)
    train_step = functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=loss,
        ema_decay=config.ema_decay,
        grad_accum_steps=config.grad_accum_steps,
    )
    train_step = jax.jit(train_step, donate_argnums=0, out_shardings=(everywhere, everywhere))
    predict = functools.partial(steps.predict, model=model, image_size=config.data.image_size)

    stream = pipeline.train_stream(
        dataset.records(config.data.train_split),
        batch_size=config.batch_size,
        augment=transforms.Augment(**config.augment),
        seed=config.seed,
        start=start,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        image_size=config.data.image_size,
        **reading(config),
    )
    validation = evaluator.Evaluator(
        "val",
        dataset.records(config.data.val_split),
        predict=jax.jit(predict),
        mesh=mesh,
        batch_size=config.eval.batch_size,
        **reading(config),
    )

    batch = sharding.abstract_batch(config.batch_size, config.data.image_size, mesh)
    began = time.monotonic()
    train_step = train_step.lower(state, batch, train_key).compile()
    memory = train_step.memory_analysis()
    say(
        f"compiled the train step in {time.monotonic() - began:.1f} s: "
        f"{memory.argument_size_in_bytes / 2**20:.0f} MiB state and batch, "
        f"{memory.temp_size_in_bytes / 2**20:.0f} MiB working memory per device"
    )

    metric_writer = writer.MetricWriter(workdir, resume_step=start)
    log = writer.StepLog(
        metric_writer, every=config.log_every, batch_size=config.batch_size, schedule=schedule
    )
    # The order below is what makes resume exact: evaluate and save the state at `step` before
    # the next batch is drawn. The log is flushed before a save, because it refuses what is not
    # finite: a resumed run would start from it again and again.
    bar = progress.Progress("train", config.num_steps, start=start)
    with bar, contextlib.closing(stream), contextlib.closing(metric_writer):
        for step in range(start, config.num_steps + 1):
            if step > start:
                evaluated = {}
                if step % config.eval_every == 0 or step == config.num_steps:
                    log.flush()
                    evaluated = dict(validation.run(state.eval_variables))
                    metric_writer.write(step, evaluated)
                    history.append(evaluated["val/auc"])
                if evaluated or step % config.checkpoint_every == 0:
                    log.flush()
                    checkpoints.save(step, state, evaluated)
                    log.restart_clock()
            if step == config.num_steps or _stalled(history, config.early_stop_patience):
                break
            waiting = time.monotonic()
            batch = sharding.put_batch(next(stream), mesh)
            waited = time.monotonic() - waiting
            state, step_metrics = train_step(state, batch, train_key)
            log.add(step + 1, step_metrics, waited)
            bar.update(step + 1, **log.summary(), val_auc=history[-1] if history else "-")
    checkpoints.close()
    say(f"step {step}: best checkpoint {checkpoints.best_step} by val/auc, in {workdir}")


def build(
    config: ml_collections.ConfigDict,
) -> tuple[nn.Module, optax.GradientTransformation, optax.Schedule, Callable]:
    """(model, optimiser, learning rate by step, function from a key to the state at step 0)."""
    model = models.build(**config.model)
    tx, schedule = optim.make_optimizer(num_steps=config.num_steps, **config.optimizer)
    init = functools.partial(
        steps.init, model=model, tx=tx, image_size=config.data.image_size, ema=config.ema_decay > 0
    )
    return model, tx, schedule, init


def abstract_state(init: Callable[[jax.Array], steps.TrainState], mesh: Mesh) -> steps.TrainState:
    """What a checkpoint restores to: shapes, types and places of the state that `init` makes."""
    key, _ = _keys(0)
    return sharding.abstract_replicated(jax.eval_shape(init, key), mesh)


def load_best(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, mesh: Mesh
) -> tuple[nn.Module, dict[str, Any], int]:
    """(model, variables for evaluation, step) of the best checkpoint of the run in `workdir`.

    The model computes in float32, whatever it was trained in: exports do, and thresholds chosen
    here are applied to their scores.

    Raises:
      UserError: it has none.
    """
    variables, step = checkpoint.load_variables(workdir)
    model = models.build(**{**config.model, "dtype": "float32"})
    return model, jax.device_put(variables, sharding.replicated(mesh)), step


def reading(config: ml_collections.ConfigDict) -> dict[str, int]:
    """How crops are read, for training and evaluation alike."""
    names = ("num_workers", "num_threads", "prefetch")
    return {name: config.data[name] for name in names}


def _keys(seed: int) -> tuple[jax.Array, jax.Array]:
    """The keys of initialisation and of training."""
    init_key, train_key = jax.random.split(jax.random.key(seed))
    return init_key, train_key


def _stalled(history: list[float], patience: int) -> bool:
    """Whether the last `patience` evaluations brought no better val/auc than those before."""
    if not patience or len(history) <= patience:
        return False
    return np.nanmax(history[-patience:]) <= np.nanmax(history[:-patience])
