"""Checkpoints of a run; the only file that imports Orbax checkpointing.

WORKDIR/checkpoints/STEP/ holds the TrainState before update STEP.

Orbax writes atomically, and keeps no checksum of values: a flipped bit would restore as another,
silent model. So `checksums.json` in a checkpoint has the SHA-256 of its files, and the metadata
have the SHA-256 of the values that were to be saved. Both are compared before a state is used. What
is damaged goes to WORKDIR/damaged_checkpoints/.

Of several processes, the first alone reads and writes: the state is the same in all of them, and so
the others need not see its disk.
"""

import concurrent.futures
import math
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as orbax
from orbax.checkpoint import checkpoint_managers as policies
from orbax.checkpoint import v1 as ocp

from dfjax import checksums, console, files, sharding, steps, tree
from dfjax.errors import UserError
from dfjax.steps import TrainState
from dfjax.writer import StepLog

FOLDER = "checkpoints"
DAMAGED = "damaged_checkpoints"
_VARIABLES = ("params", "batch_stats")
_WINDOW = "window"
_STATE, _WEIGHTS = "sha256_of_state", "sha256_of_weights"  # in the metadata of a checkpoint
_UNFINISHED = "*.orbax-checkpoint-tmp"


class Checkpoints:
    """Asynchronous, atomic checkpoints: the latest `keep`, and the best by the metric `select_by`.

    Leftovers of interrupted saves, and what is seen to be damaged, do not stay among them. One run
    writes into a workdir at a time (`lock`). All processes of a run call the same methods.
    """

    def __init__(self, workdir: pathlib.Path, *, select_by: str, keep: int = 1):
        self._workdir, self._select_by = workdir, select_by
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._finishing: concurrent.futures.Future[None] | None = None
        self._manager: orbax.CheckpointManager | None = None
        self._latest = sharding.from_first(lambda: self._open(keep))

    @property
    def latest_step(self) -> int | None:
        """The step of the newest finished checkpoint."""
        return self._latest

    @property
    def best_step(self) -> int | None:
        """The step with the highest finite metric; the latest where none was evaluated."""
        return sharding.from_first(lambda: _best(_metrics(self._manager), self._select_by))

    def save(
        self, step: int, state: TrainState, metrics: dict[str, float], window: Any = ()
    ) -> None:
        """Starts to save; the state may be donated to the next update at once.

        A checkpoint of this step that is there, of a run that failed before it had measured the
        state, is replaced. `window`, plain JSON, is what the log had not written yet.

        Raises:
          UserError: the disk is full, as far as is known by now (`wait`).
        """
        self.wait()
        sharding.from_first(lambda: self._begin(step, state, metrics, window))

    def wait(self) -> None:
        """Returns when what is being saved is finished.

        Raises:
          UserError: the disk is full; earlier checkpoints are whole.
        """
        self._latest = sharding.from_first(self._wait)

    def rescue(
        self, state: TrainState, metrics: Mapping[int, dict[str, float]], log: StepLog
    ) -> str:
        """Saves the state of a run that failed, and closes; returns what became of it, in words.

        `metrics` are known of states, by step. A state that is not finite is not saved: every
        resumed run would start from it. Nor is one of several processes, all of which would have to
        fail at the same step to save it together.
        """
        try:
            self._latest = self._wait()  # the other processes may have ended
            step, is_alone = int(state.step), jax.process_count() == 1
            if is_alone and step > (self.latest_step or 0) and _is_finite(state, log):
                self.save(step, state, metrics.get(step, {}), log.window())
                self._latest = self._wait()
            self._close()
        except Exception as error:  # what ended the run is what matters
            lost = f", and its last steps are lost ({console.one_line(error)})"
        else:
            lost = ""
        return f"the run failed{lost}: the same command goes on at step {self.latest_step or 0}"

    def window(self, step: int) -> Any:
        """The `window` that was saved with a checkpoint; empty for most."""
        return sharding.from_first(lambda: self._metadata(step).get(_WINDOW, ()))

    def restore_newest(self, like: Any) -> tuple[Any, int]:
        """(the newest state that is as it was saved, its step).

        The state has the shapes, types and shardings of `like`. Checkpoints that are damaged are
        set aside, and a line says so.

        Raises:
          UserError: none is whole.
        """
        state = None

        def restore() -> int:
            nonlocal state
            state, step = self._restore_newest(like)
            return step

        self._latest = sharding.from_first(restore)
        return sharding.place_first(state, like), self._latest

    def restore(self, step: int, like: Any) -> Any:
        """The state saved at `step`, with the shapes, types and shardings of `like`."""
        state = None

        def restore() -> None:
            nonlocal state
            state = _load(self._folder / str(step), {"state": like})["state"]

        sharding.from_first(restore)
        return sharding.place_first(state, like)

    def close(self) -> None:
        """Returns when everything is on disk.

        Raises:
          UserError: the disk is full.
        """
        try:
            self.wait()
        finally:
            self._close()

    @property
    def _folder(self) -> pathlib.Path:
        return self._workdir / FOLDER

    def _open(self, keep: int) -> int | None:
        self._set_aside_damaged()  # Orbax would stop at metadata that it cannot read
        self._folder.mkdir(parents=True, exist_ok=True)
        best = policies.preservation_policy.BestN(
            get_metric_fn=lambda metrics: _rank(metrics, self._select_by),
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        latest = policies.preservation_policy.LatestN(keep)
        self._manager = _manage(
            self._folder,
            save_decision_policy=policies.save_decision_policy.FixedIntervalPolicy(1),
            preservation_policy=policies.preservation_policy.AnyPreservationPolicy([latest, best]),
            best_fn=lambda metrics: _rank(metrics, self._select_by),  # else it keeps no metrics
            cleanup_tmp_directories=True,
        )
        return self._manager.latest_step()

    def _begin(self, step: int, state: TrainState, metrics: dict[str, float], window: Any) -> None:
        # Copies, because the next update reuses the memory. Of numpy, because Orbax takes arrays of
        # JAX from all processes or from none.
        state = jax.tree.map(np.array, jax.device_get(state))
        digests = {_STATE: tree.digest(state), _WEIGHTS: tree.digest(state.eval_variables)}
        if step in self._manager.all_steps():
            self._manager.delete(step)
        self._manager.save(
            step,
            args=orbax.args.Composite(state=orbax.args.PyTreeSave(state)),
            metrics={k: float(v) for k, v in metrics.items() if math.isfinite(v)},
            custom_metadata=digests | ({_WINDOW: window} if window else {}),
        )
        self._finishing = self._thread.submit(self._finish, step)

    def _finish(self, step: int) -> None:
        self._manager.wait_until_finished()
        checksums.write(self._folder / str(step))

    def _wait(self) -> int | None:
        """Waits, in the process that saves; returns the step of the newest checkpoint."""
        finishing, self._finishing = self._finishing, None
        try:
            if finishing is not None:
                finishing.result()
        except Exception as error:
            # It would keep the disk full.
            for unfinished in self._folder.glob(_UNFINISHED):
                shutil.rmtree(unfinished, ignore_errors=True)
            if _is_full(error):
                raise UserError(
                    f"a checkpoint does not fit on the disk of {self._folder}, which has "
                    f"{files.free_space(self._folder)} left; earlier ones are whole: make room, "
                    "and the same command goes on"
                ) from error
            raise
        return self._latest if self._manager is None else self._manager.latest_step()

    def _close(self) -> None:
        self._thread.shutdown()
        if self._manager is not None:
            self._manager.close()

    def _metadata(self, step: int) -> dict[str, Any]:
        return ocp.checkpointables_metadata(self._folder / str(step)).custom_metadata or {}

    def _restore_newest(self, like: Any) -> tuple[Any, int]:
        reasons = []
        while (step := self._manager.latest_step()) is not None:
            state, reason = self._restore_whole(step, like)
            if reason is None:
                return state, step
            reasons.append(reason)
            self._set_aside(step, reason)
            self._manager.reload()
        raise UserError(
            f"no checkpoint in {self._workdir} is whole ({'; '.join(reasons)}): restore one in "
            f"{FOLDER}/ from a copy, or begin again in a new workdir"
        )

    def _restore_whole(self, step: int, like: Any) -> tuple[Any, str | None]:
        """(the state as numpy arrays, None), or (None, what is wrong with it)."""
        folder = self._folder / str(step)
        if reason := _find_damage(folder):
            return None, reason
        try:
            state = _load(folder, {"state": like})["state"]
            expected = self._metadata(step).get(_STATE)
        except Exception as error:
            if checksums.is_in(folder):  # the files are whole: it is a fault of the program
                raise
            return None, f"{folder} cannot be read ({console.one_line(error)})"
        if expected not in (None, tree.digest(state)):  # None: of an earlier version
            return None, f"{folder} holds other values than were saved"
        return state, None

    def _set_aside_damaged(self) -> None:
        """Sets aside what a quick look finds to be damaged; it sees all of the small files."""
        for step in _steps(self._folder):
            if reason := _find_damage(self._folder / str(step), whole=False):
                self._set_aside(step, reason)

    def _set_aside(self, step: int, reason: str) -> None:
        target, number = self._workdir / DAMAGED / str(step), 1
        while target.exists():
            number += 1
            target = target.with_name(f"{step}.{number}")
        target.parent.mkdir(exist_ok=True)
        os.replace(self._folder / str(step), target)
        console.print_line(f"dfjax: note: {reason}: moved to {target}", error=True)


def verify(workdir: pathlib.Path) -> Iterator[checksums.Compared]:
    """Reads every byte of the checkpoints of a run, and compares it with what was written.

    Of a checkpoint that a killed run had not listed, or of an earlier version, nothing is known.

    Raises:
      DamagedError: a list of files cannot be read.
    """
    for step in _steps(workdir / FOLDER):
        if checksums.is_in(folder := workdir / FOLDER / str(step)):
            yield from checksums.compare(folder)


def latest_step(workdir: pathlib.Path) -> int | None:
    """The step of the newest checkpoint of a run that need not exist, whole or not."""
    return max(_steps(workdir / FOLDER), default=None)


def load_variables(
    workdir: pathlib.Path, step: int | None = None, *, select_by: str
) -> tuple[dict[str, Any], int]:
    """(variables for evaluation as numpy arrays, step) of a checkpoint.

    `step` None is the best by the metric `select_by`. Nothing else of the state is read, so neither
    the other fields of the config nor the optimizer matter. Nothing is moved, because another
    process may be writing.

    Raises:
      UserError: the run has no such checkpoint, or it is damaged; or, where the best is asked for,
        another is.
    """
    if step is None:
        step = _best(_read_metrics(workdir / FOLDER), select_by)
    path = (workdir / FOLDER / str(step)).absolute()
    if not path.is_dir():
        which = "no checkpoint" if step is None else f"no checkpoint {step}"
        raise UserError(f"{workdir} holds {which}: train first")
    if reason := _find_damage(path):
        raise UserError(f"{reason}: restore the checkpoint from a copy, or take another")
    try:
        variables, expected = _load_variables(path)
    except Exception as error:  # anything that Orbax or the storage below it raises
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}): the checkpoint is damaged; restore "
            "it from a copy, or take another"
        ) from error
    if expected not in (None, tree.digest(variables)):  # None: of an earlier version
        raise UserError(
            f"{path} holds other weights than were saved: restore the checkpoint from a copy, or "
            "take another"
        )
    return variables, step


def _steps(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints in a folder that need not exist, in rising order."""
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal())


def _rank(metrics: Mapping[str, float] | None, select_by: str) -> float:
    """The metric that ranks checkpoints; missing and non-finite values never win."""
    value = (metrics or {}).get(select_by)
    return value if value is not None and math.isfinite(value) else -math.inf


def _best(metrics: Mapping[int, Mapping[str, float] | None], select_by: str) -> int | None:
    """The step whose metrics rank highest, the later of equal ones; None: there is none."""
    return max(metrics, key=lambda step: (_rank(metrics[step], select_by), step), default=None)


def _read_metrics(folder: pathlib.Path) -> dict[int, Mapping[str, float] | None]:
    """The metrics of each checkpoint in a folder that need not exist."""
    for step in _steps(folder):
        # Its metric may be another, and Orbax would stop at metadata that it cannot read.
        if reason := _find_damage(folder / str(step), whole=False):
            raise UserError(
                f"{reason}: restore checkpoint {step} from a copy, or move it away; the command "
                "that trained it does that and makes it again"
            )
    if not folder.is_dir():
        return {}
    manager = _manage(folder)
    try:
        return _metrics(manager)
    finally:
        manager.close()


def _manage(folder: pathlib.Path, **options: Any) -> orbax.CheckpointManager:
    """A manager of this process alone, for a folder that is there."""
    here = jax.process_index()
    alone = orbax.options.MultiprocessingOptions(primary_host=here, active_processes={here})
    options = orbax.CheckpointManagerOptions(create=False, multiprocessing_options=alone, **options)
    return orbax.CheckpointManager(folder.absolute(), options=options)


def _metrics(manager: orbax.CheckpointManager) -> dict[int, Mapping[str, float] | None]:
    """The metrics of each checkpoint."""
    return {step: manager.metrics(step) for step in manager.all_steps()}


def _load(path: pathlib.Path, like: Any) -> Any:
    """Items of a checkpoint by name, as numpy arrays with the shapes and types of `like`.

    What else an item holds is not read. This process alone reads.
    """
    # On one device, whatever the run was trained on.
    on_one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=on_one), like)
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    context.multiprocessing.primary_host = jax.process_index()
    context.multiprocessing.active_processes = {jax.process_index()}
    with context:
        return jax.device_get(ocp.load_checkpointables(path.absolute(), like))


def _load_variables(path: pathlib.Path) -> tuple[dict[str, Any], str | None]:
    """(the variables for evaluation as numpy arrays, the SHA-256 of those that were saved)."""
    metadata = ocp.checkpointables_metadata(path)
    saved = metadata.metadata["state"]
    chosen = {"ema": saved["ema"]} if saved["ema"] else {k: saved[k] for k in _VARIABLES}
    loaded = _load(path, {"state": chosen})["state"]
    return loaded.get("ema", loaded), (metadata.custom_metadata or {}).get(_WEIGHTS)


def _find_damage(folder: pathlib.Path, *, whole: bool = True) -> str | None:
    """What is wrong with the files of a checkpoint, None: nothing that its checksums tell.

    One without checksums is of an earlier version, or of a run that was killed just then.
    """
    if not checksums.is_in(folder):
        return None if any(folder.iterdir()) else f"{folder} is empty"
    try:
        checksums.check(folder, whole=whole)
    except checksums.DamagedError as error:
        return str(error)
    return None


def _is_full(error: BaseException) -> bool:
    """Whether a disk or a quota was full; Orbax and TensorStore say so in words alone."""
    words = ("os_error 28", "os_error 27", "RESOURCE_EXHAUSTED", "No space left", "File too large")
    return any(word in str(error) for word in words)


def _is_finite(state: TrainState, log: StepLog) -> bool:
    """Whether no number of the state, and of the updates that are not logged yet, is inf or nan."""
    try:
        log.window()
    except UserError:
        return False
    return steps.is_finite(state)
