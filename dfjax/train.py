"""A training run: build, restore, loop. Decisions that cross files are made here, in order."""

import contextlib
import functools
import pathlib
import time
from collections.abc import Sequence

import jax
import ml_collections
import numpy as np
from clu import parameter_overview

from dfjax import (
    checkpoint,
    clip_training,
    contact_sheet,
    divergence,
    files,
    head_training,
    heartbeat,
    lock,
    losses,
    pooling,
    preemption,
    profiling,
    progress,
    recipe,
    run,
    sharding,
    steps,
    tree,
    utilisation,
    walk,
    writer,
)
from dfjax.data import builder, sampling
from dfjax.data.training import Training
from dfjax.errors import PreemptedError
from dfjax.evaluators import chosen, frame
from dfjax.familiarity import gate
from dfjax.weights import init_from


def train(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, *, profile: range = range(0)
) -> None:
    """Trains to `config.num_steps`; the same call resumes after the newest checkpoint.

    The state at step n has seen exactly batches 0 to n - 1, whose content is a function of
    (seed, step), so a resumed run does what an uninterrupted one would have done.

    A run that fails, for example by a damaged record, saves its last step first, and so does one
    that is asked to end by SIGTERM. What a loss that is not finite does, `config.on_divergence`
    says. The updates `profile` are traced (`profiling`).

    Raises:
      UserError: a setting, the data or the disk does not fit; the message says which and what
        would, and no step was done. Or a loss or a gradient is not finite; the message names the
        step, and all checkpoints are of earlier ones.
      InUseError: another run writes into the workdir.
      PreemptedError: it was asked to end, and has saved what it did.
    """
    divergence.require_known(config.on_divergence)
    writer.require_known(config.writers)
    with lock.held(workdir), preemption.noticed() as notice:
        while True:
            try:
                return _train(config, workdir, notice, profile)
            except divergence.DivergenceError:
                # What led there is left out, so the same call does not lead there again.
                last = sharding.from_first(lambda: divergence.read(workdir)[-1])
                if last["action"] != "rollback":
                    raise
            except jax.errors.JaxRuntimeError as error:
                explained = utilisation.explain_memory(
                    error,
                    batch_size=config.batch_size,
                    grad_accum_steps=config.grad_accum_steps,
                    devices=jax.device_count(),
                )
                if explained is None:
                    raise
                raise explained from error


def _train(
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    notice: preemption.Notice,
    profile: range,
) -> None:
    # What would end the run later is refused here, before minutes go into compiling and hours into
    # steps; nothing is written into the workdir until all of it holds. Of several processes the
    # first alone reads and writes there, because the others may be on machines without it.
    recipe.check_pooling(config)
    learns_pooling = config.pooling == pooling.LEARNED
    mesh = sharding.make_mesh()
    sharding.check_train_batch_size(config.batch_size, mesh, config.grad_accum_steps)
    recipe.check_periods(config)
    dataset = builder.open_dataset(config.data.dir)
    training = Training.open(dataset, config.data.train_split, config.data.more)
    for each, _ in training.splits:
        each.fill()
    if not config.data.allow_leaks:
        training.require_no_leaks((config.data.val_split, config.data.test_split))
    pairs = training.pairs(recipe.make_sampling(config), seed=config.seed)
    stream_from, augment = recipe.make_stream(config, pairs), recipe.make_augment(config)
    entries = config.evals.to_dict()
    targets = chosen.open_targets(
        entries,
        dataset,
        select_by=config.select_by,
        val_split=config.data.val_split,
        test_split=config.data.test_split,
        allow_other_crops=config.eval.allow_other_crops,
    )
    sharding.from_first(lambda: run.require_same(workdir, config, dataset, training.further))

    everywhere, by_rows = sharding.replicated(mesh), sharding.by_batch(mesh)
    init_key, train_key, augment_key = recipe.make_keys(config.seed)
    model, tx, schedule, init = recipe.build(config)
    like = recipe.abstract_state(init, mesh)
    if learns_pooling:
        head_training.require_frozen(like.params, config.optimizer.lr_rules, "pooling")
    elif config.cache_views:
        head_training.require_frozen(like.params, config.optimizer.lr_rules, "cache_views")
    needed = 2 * tree.num_bytes(like)
    sharding.from_first(lambda: files.require_space(workdir, needed, "two checkpoints of this run"))
    loss = losses.build(config.loss, label_smoothing=config.label_smoothing)
    predict = functools.partial(gate.predict, model=model, image_size=config.data.image_size)
    scorer = frame.FrameScorer(
        jax.jit(predict),
        mesh,
        config.eval.batch_size,
        recipe.make_reading(config),
        config.pooling,
    )
    measures = chosen.build(entries, targets, scorer, select_by=config.select_by)
    selector = config.select_by.partition("/")[0]
    is_first = jax.process_index() == 0
    say = functools.partial(print, flush=True) if is_first else lambda *_: None
    count = parameter_overview.count_parameters(like.params)
    say(f"{config.model.name}: {count:,} parameters, {mesh.size} x {jax.devices()[0].device_kind}")

    # Where the state comes from: the newest checkpoint of this workdir, else `init_from`, else the
    # seed. A resumed run does not read `init_from` again: its weights are in the checkpoint, and
    # the file may be gone. The newest is that of those that are there, whole or not.
    start = sharding.from_first(lambda: checkpoint.latest_step(workdir)) or 0
    if config.init_from and not start:  # before anything is compiled, because they may be refused
        weights, transfer = init_from.load(
            config.init_from,
            model,
            like,
            reinit=config.reinit,
            chosen=[field for field, value in config.model.items() if value is not None],
        )
    checkpoints = checkpoint.Checkpoints(
        workdir, select_by=config.select_by, keep=config.keep_checkpoints
    )
    if start:
        state, start = checkpoints.restore_newest(like)
        say(f"resuming {workdir} at step {start}")
    else:
        state = jax.jit(init, out_shardings=everywhere)(init_key)
        if config.init_from:
            state = init_from.place(weights, state)
            say(f"starting from {config.init_from}: {transfer}")
            if transfer.reinitialized:
                # Also where the weights are those of a run, whose head knows fakes already.
                count = f"{len(transfer.reinitialized)} parameters"
                say(f"{config.reinit} starts afresh, {count}: reinit='' takes over all")
    sharding.from_first(lambda: run.begin(workdir, config, dataset, training.further))
    rows = sharding.from_first(lambda: writer.read_rows(workdir, to_step=start))
    # Early stopping looks back beyond the interruption, or it would grant a new patience each time.
    history = [row[config.select_by] for row in rows if config.select_by in row]
    # What is known of the state at `start`: nothing yet, if a failure came before it was measured.
    metrics = {
        name: value
        for row in rows
        for name, value in row.items()
        if row["step"] == start and name.partition("/")[0] in measures
    }

    left_out = sharding.from_first(lambda: divergence.batches_left_out(workdir))
    augment = jax.jit(augment, out_shardings=by_rows)
    batch = sharding.abstract_batch(
        config.batch_size, config.data.image_size, dataset.crop_spec.landmarks, mesh
    )
    first = start + left_out  # batch n is a function of n
    cached = None
    if learns_pooling or config.cache_views:
        walk.mark_output(workdir)
        prepare = functools.partial(
            clip_training.prepare if learns_pooling else head_training.prepare,
            workdir,
            state,
            model=model,
            image_size=config.data.image_size,
            batch_size=config.batch_size,
            seed=config.seed,
            mesh=mesh,
            start=first,
        )
        if learns_pooling:
            reading = recipe.make_reading(config)
            cached = prepare(pairs=pairs, frames=config.clip_frames, reading=reading)
        else:
            cached = prepare(
                num_pairs=config.cache_views * pairs.epoch,
                read=lambda step: stream_from(start=step),
                augment=functools.partial(augment, key=augment_key),
            )
        model, stream, batch, pairs_of = cached
        augment = jax.jit(lambda batch, _: batch, out_shardings=by_rows)
    else:
        stream = stream_from(start=first)
        pairs_of = functools.partial(sampling.pairs_of, batch_size=config.batch_size)
    train_step = functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=loss,
        ema_decay=config.ema_decay,
        grad_accum_steps=config.grad_accum_steps,
        skip_not_finite=config.on_divergence == "skip",
    )
    # The old state is dead once the new one exists: donating it halves the memory of the state.
    train_step = jax.jit(train_step, donate_argnums=0, out_shardings=(everywhere, everywhere))

    # Compiled ahead of the loop: memory is known before the first step needs it, and the rates of
    # the first window do not contain the compiler.
    say("compiling the train step")
    began = time.monotonic()
    augment = augment.lower(batch, augment_key).compile()
    batch = sharding.abstract(augment.out_info, by_rows)
    train_step = train_step.lower(state, batch, train_key).compile()
    memory = train_step.memory_analysis()
    operations = utilisation.operations(train_step)
    say(
        f"compiled the train step in {time.monotonic() - began:.1f} s: "
        f"{memory.argument_size_in_bytes / 2**20:.0f} MiB state and batch, "
        f"{memory.temp_size_in_bytes / 2**20:.0f} MiB working memory, "
        f"{operations / 1e9:,.1f} billion operations per device"
    )

    metric_writer = writer.MetricWriter(
        workdir, resume_step=start, others=config.writers, config=config.to_dict()
    )

    def note(step: int, what: str, value: object, action: str, **more: int) -> None:
        if is_first:
            records = [pairs.names(number) for number in pairs_of(step - 1 + left_out)]
            row = {"step": step, "what": what, "value": str(value), "action": action, **more}
            divergence.note(workdir, **row, records=records)

    skip = functools.partial(note, action="skip") if config.on_divergence == "skip" else None
    log = writer.StepLog(
        metric_writer,
        every=config.log_every,
        batch_size=config.batch_size,
        schedule=schedule,
        window=checkpoints.window(start) if start else (),
        skip=skip,
        operations=operations,
    )
    # The order below is what makes resume exact: evaluate and save the state at `step` BEFORE the
    # next batch is drawn, so that a checkpoint at n has seen batches 0 to n - 1 and no other.
    bar = progress.Progress("train", config.num_steps, start=start)
    status = heartbeat.Heartbeat(workdir, start=start, num_steps=config.num_steps)
    profiler = profiling.Profiler(workdir, profile if is_first else range(0))
    sharding.wait_for_all()  # some compile longer than others
    closed = contextlib.closing(stream), contextlib.closing(metric_writer)
    with bar, status, profiler, closed[0], closed[1]:
        try:
            for step in range(start, config.num_steps + 1):
                if step > start:
                    metrics = {}
                due = [
                    name
                    for name in measures
                    if step % config.evals[name].every == 0 or step == config.num_steps
                ]
                measured_now = step > 0 and due and not metrics
                if measured_now:
                    log.flush()  # rows in the order of their steps
                    try:
                        with notice.interrupting():  # it may take longer than a scheduler waits
                            metrics = {
                                f"{name}/{metric}": value
                                for name in due
                                for metric, value in measures[name].run(state.eval_variables)
                            }
                    except PreemptedError:
                        is_ending = True  # the state is saved without them: they come first then
                        break
                    metric_writer.write(step, metrics)
                    if selector in due:
                        history.append(metrics[config.select_by])
                is_due = selector in due or step % config.checkpoint_every == 0
                # The state at `start` was saved, but without what a failure kept from being known.
                if is_due and (step > start or measured_now):
                    # The log refuses what is not finite. Flushed after the save, a bad state would
                    # be the newest checkpoint, and every resumed run would start from it.
                    log.flush()
                    checkpoints.save(step, state, metrics)
                    log.restart_clock()
                # All processes ask at every step, or they would not agree on the one to end at.
                is_ending = notice.is_given(step)
                if is_ending or step == config.num_steps:
                    break
                if _stalled(history, config.early_stop_patience):
                    break
                profiler.before(step, state)
                waiting = time.monotonic()
                read = next(stream)
                batch = sharding.put_batch(read, mesh)
                waited = time.monotonic() - waiting
                batch = augment(batch, augment_key)
                state, step_metrics = train_step(state, batch, train_key)
                # Drawn while the devices compute: other processes would wait for this one.
                if step == 0 and not cached and is_first:
                    walk.mark_output(workdir)
                    contact_sheet.write(workdir / contact_sheet.FIRST_BATCH, read, batch)
                # The log reads one step late: reading this step's metrics would wait for the
                # device, and the device would then wait for the next batch.
                log.add(step + 1, step_metrics, waited)
                rate = log.summary().get("images_per_second")
                status.beat(step + 1, config.batch_size, rate, checkpoints.latest_step)
                bar.update(
                    step + 1, **log.summary(), **{config.select_by: history[-1] if history else "-"}
                )
        except divergence.DivergenceError as error:
            checkpoints.close()
            action = config.on_divergence
            rollbacks = sharding.from_first(lambda: divergence.num_rollbacks(workdir))
            if action == "rollback" and rollbacks == divergence.MAX_ROLLBACKS:
                action = "stop"
            resumed = checkpoints.latest_step or 0
            note(error.step, error.what, error.value, action, resumed=resumed)
            found = f"the {error.what} became {error.value} at step {error.step}"
            say(f"{found}, the newest checkpoint is of step {resumed}: {action}")
            raise
        except BaseException:  # also Ctrl-C
            # Whatever it was, the steps are done: the same command goes on from here.
            say(checkpoints.rescue(state, {step: metrics}, log))
            raise
        checkpoints.wait()
        if is_ending and step > (checkpoints.latest_step or 0):
            checkpoints.save(step, state, metrics, log.window())
        checkpoints.close()
        status.end(step, is_finished=not is_ending)
    if is_ending:
        raise PreemptedError(f"asked to end: {workdir} is saved at step {step}, and goes on there")
    best = f"{config.select_by} {np.fmax.reduce(history):.4f}" if history else config.select_by
    say(f"step {step}: best checkpoint {checkpoints.best_step} by {best}, in {workdir}")


def _stalled(history: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` measurements brought nothing better than those before."""
    if not patience or len(history) <= patience:
        return False
    return np.nanmax(history[-patience:]) <= np.nanmax(history[:-patience])
