"""A training run: build, restore, loop. Decisions that cross files are made here, in order."""

import contextlib
import functools
import pathlib
import time
from collections.abc import Callable, Sequence

import jax
import ml_collections
import numpy as np
import optax
from clu import parameter_overview
from flax import linen as nn
from jax.sharding import Mesh

from dfjax import (
    checkpoint,
    evaluators,
    losses,
    models,
    optim,
    progress,
    run,
    sharding,
    steps,
    writer,
)
from dfjax.data import builder, leaks, pipeline, transforms
from dfjax.errors import UserError
from dfjax.evaluators import eval_target, frame
from dfjax.weights import init_from


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """Trains to `config.num_steps`; the same call resumes after the newest checkpoint.

    The state at step n has seen exactly batches 0 to n - 1, whose content is a function of
    (seed, step), so a resumed run does what an uninterrupted one would have done.

    Raises:
      UserError: a setting does not fit; the message says which and what would. Or a loss or a
        gradient is not finite; the message names the step, and all checkpoints are of earlier ones.
    """
    # What can be refused is refused here, before minutes go into compiling.
    mesh = sharding.make_mesh()
    sharding.check_train_batch_size(config.batch_size, mesh, config.grad_accum_steps)
    check_periods(config)
    dataset = builder.open_dataset(config.data.dir)
    if not config.data.allow_leaks:
        leaks.require_none(dataset)
    run.begin(workdir, config, dataset)
    say = functools.partial(print, flush=True) if jax.process_index() == 0 else lambda *_: None

    everywhere, (init_key, train_key) = sharding.replicated(mesh), _keys(config.seed)
    model, tx, schedule, init = build(config)
    like = abstract_state(init, mesh)
    count = parameter_overview.count_parameters(like.params)
    say(f"{config.model.name}: {count:,} parameters, {mesh.size} x {jax.devices()[0].device_kind}")

    # Where the state comes from: the newest checkpoint of this workdir, else `init_from`, else the
    # seed. A resumed run does not read `init_from` again: its weights are in the checkpoint, and
    # the file may be gone.
    checkpoints = checkpoint.Checkpoints(
        workdir, select_by=config.select_by, keep=config.keep_checkpoints
    )
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
                # Also where the weights are those of a run, whose head knows fakes already.
                count = f"{len(transfer.reinitialized)} parameters"
                say(f"{config.reinit} starts afresh, {count}: reinit='' takes over all")
    # Early stopping looks back beyond the interruption, or it would grant a new patience each time.
    rows = writer.read_rows(workdir, to_step=start)
    history = [row[config.select_by] for row in rows if config.select_by in row]

    loss = losses.build(config.loss, label_smoothing=config.label_smoothing)
    train_step = functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=loss,
        ema_decay=config.ema_decay,
        grad_accum_steps=config.grad_accum_steps,
    )
    # The old state is dead once the new one exists: donating it halves the memory of the state.
    train_step = jax.jit(train_step, donate_argnums=0, out_shardings=(everywhere, everywhere))
    stream = pipeline.train_stream(
        dataset.records(config.data.train_split),
        batch_size=config.batch_size,
        augment=transforms.Augment(**config.augment),
        seed=config.seed,
        start=start,  # batch n is a function of n: resuming is starting later
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        image_size=config.data.image_size,
        reading=make_reading(config),
    )
    predict = functools.partial(steps.predict, model=model, image_size=config.data.image_size)
    scorer = frame.FrameScorer(jax.jit(predict), mesh, config.eval.batch_size, make_reading(config))
    measures = {
        name: _make_evaluator(config, name, dataset, scorer) for name in sorted(config.evals)
    }

    # Compiled ahead of the loop: memory is known before the first step needs it, and the rates of
    # the first window do not contain the compiler.
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
    # The order below is what makes resume exact: evaluate and save the state at `step` BEFORE the
    # next batch is drawn, so that a checkpoint at n has seen batches 0 to n - 1 and no other.
    bar = progress.Progress("train", config.num_steps, start=start)
    with bar, contextlib.closing(stream), contextlib.closing(metric_writer):
        for step in range(start, config.num_steps + 1):
            if step > start:
                due = [
                    name
                    for name in measures
                    if step % config.evals[name].every == 0 or step == config.num_steps
                ]
                metrics = {}
                if due:
                    log.flush()  # rows in the order of their steps
                    metrics = {
                        f"{name}/{metric}": value
                        for name in due
                        for metric, value in measures[name].run(state.eval_variables)
                    }
                    metric_writer.write(step, metrics)
                is_candidate = config.select_by.partition("/")[0] in due
                if is_candidate:
                    history.append(_selected(metrics, config.select_by))
                if is_candidate or step % config.checkpoint_every == 0:
                    # The log refuses what is not finite. Flushed after the save, a bad state would
                    # be the newest checkpoint, and every resumed run would start from it.
                    log.flush()
                    checkpoints.save(step, state, metrics)
                    log.restart_clock()
            if step == config.num_steps or _stalled(history, config.early_stop_patience):
                break
            waiting = time.monotonic()
            batch = sharding.put_batch(next(stream), mesh)
            waited = time.monotonic() - waiting
            state, step_metrics = train_step(state, batch, train_key)
            # The log reads one step late: reading this step's metrics would wait for the device,
            # and the device would then wait for the next batch.
            log.add(step + 1, step_metrics, waited)
            bar.update(
                step + 1, **log.summary(), **{config.select_by: history[-1] if history else "-"}
            )
    checkpoints.close()
    say(f"step {step}: best checkpoint {checkpoints.best_step} by {config.select_by}, in {workdir}")


def build(
    config: ml_collections.ConfigDict,
) -> tuple[nn.Module, optax.GradientTransformation, optax.Schedule, Callable]:
    """(model, optimizer, learning rate by step, function from a key to the state at step 0)."""
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


def check_periods(config: ml_collections.ConfigDict) -> None:
    """Checks that no period cuts a window of the log, and that something measures `select_by`.

    Raises:
      UserError: one does, or nothing does.
    """
    periods = {f"evals.{name}.every": config.evals[name].every for name in config.evals}
    for name, period in {**periods, "checkpoint_every": config.checkpoint_every}.items():
        if period % config.log_every:
            raise UserError(f"log_every {config.log_every} must divide {name} {period}")
    name, _, metric = config.select_by.partition("/")
    if name not in config.evals or not metric:
        choices = ", ".join(f"{name}/auc" for name in sorted(config.evals))
        raise UserError(f"select_by {config.select_by!r} is not measured: use one like {choices}")


def make_reading(config: ml_collections.ConfigDict) -> pipeline.Reading:
    """How records are read, for training and evaluation alike."""
    names = ("num_workers", "num_threads", "prefetch")
    return pipeline.Reading(**{name: config.data[name] for name in names})


def _make_evaluator(
    config: ml_collections.ConfigDict,
    name: str,
    dataset: builder.Dataset,
    scorer: frame.FrameScorer,
) -> evaluators.Evaluator:
    """The evaluator `name` of `config.evals`, on its own data or on the run's validation split."""
    own = config.evals[name].to_dict()
    kind, data, _ = own.pop("type"), own.pop("data"), own.pop("every")
    target = eval_target.EvalTarget.of(dataset, config.data.val_split)
    if data:
        target = eval_target.EvalTarget.open(data)
        if not config.eval.allow_other_crops:
            dataset.crop_spec.require_equal(target.dataset.crop_spec, where=target.name)
    if name == config.select_by.partition("/")[0] and target.split == config.data.test_split:
        raise UserError(
            f"select_by {config.select_by} measures the test split {target.name}: choose "
            "checkpoints on validation data, or no score on it is a test"
        )
    return evaluators.build(kind, records=target.records, scorer=scorer, **own)


def _selected(metrics: dict[str, float], select_by: str) -> float:
    if select_by not in metrics:
        raise UserError(f"select_by {select_by!r} is not measured: use one of {', '.join(metrics)}")
    return metrics[select_by]


def _keys(seed: int) -> tuple[jax.Array, jax.Array]:
    """The keys of initialisation and of training."""
    init_key, train_key = jax.random.split(jax.random.key(seed))
    return init_key, train_key


def _stalled(history: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` measurements brought nothing better than those before."""
    if not patience or len(history) <= patience:
        return False
    return np.nanmax(history[-patience:]) <= np.nanmax(history[:-patience])
