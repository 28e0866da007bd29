"""Checkpoints of a run; the only file that imports Orbax checkpointing.

WORKDIR/checkpoints/STEP/ holds the TrainState before update STEP.

Orbax writes atomically, and keeps no checksum of values: a flipped bit would restore as another,
silent model. So `checksums.json` in a checkpoint has the SHA-256 of its files, and the metadata
have the SHA-256 of the values that were to be saved. Both are compared before a state is used. What
is damaged goes to WORKDIR/damaged_checkpoints/.
"""

import concurrent.futures
import math
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import jax
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

    Leftovers of interrupted saves, and what is seen to be damaged, do not stay among them. One
    process writes into a workdir at a time (`lock`), or all processes of one run together.
    """

    def __init__(self, workdir: pathlib.Path, *, select_by: str, keep: int = 1):
        self._workdir, self._select_by = workdir, select_by
        self._set_aside_damaged()  # Orbax would stop at metadata that it cannot read
        policies = ocp.training.preservation_policies
        self._checkpointer = ocp.training.Checkpointer(
            self._folder.absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(
                [
                    policies.LatestN(keep),
                    policies.BestN(
                        get_metric_fn=lambda metrics: _rank(metrics, select_by),
                        n=1,
                        keep_checkpoints_without_metrics=False,
                    ),
                ]
            ),
            cleanup_tmp_directories=True,
        )
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._finishing: concurrent.futures.Future[None] | None = None

    @property
    def latest_step(self) -> int | None:
        """The step of the newest finished checkpoint."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    @property
    def best_step(self) -> int | None:
        """The step with the highest finite metric; the latest where none was evaluated."""
        metrics = {saved.step: saved.metrics for saved in self._checkpointer.checkpoints}
        return _best(metrics, self._select_by)

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
        finite = {k: float(v) for k, v in metrics.items() if math.isfinite(v)}
        digests = {_STATE: tree.digest(state), _WEIGHTS: tree.digest(state.eval_variables)}
        saving = self._checkpointer.save_checkpointables_async(
            step,
            {"state": state},
            metrics=finite,
            overwrite=step in [saved.step for saved in self._checkpointer.checkpoints],
            custom_metadata=digests | ({_WINDOW: window} if window else {}),
        )
        self._finishing = self._thread.submit(self._finish, step, saving)

    def wait(self) -> None:
        """Returns when what is being saved is finished.

        Raises:
          UserError: the disk is full; earlier checkpoints are whole.
        """
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

    def rescue(
        self, state: TrainState, metrics: Mapping[int, dict[str, float]], log: StepLog
    ) -> str:
        """Saves the state of a run that failed, and closes; returns what became of it, in words.

        `metrics` are known of states, by step. A state that is not finite is not saved: every
        resumed run would start from it. Nor is one of several processes, all of which would have to
        fail at the same step to save it together.
        """
        try:
            self.wait()
            step, is_alone = int(state.step), jax.process_count() == 1
            if is_alone and step > (self.latest_step or 0) and _is_finite(state, log):
                self.save(step, state, metrics.get(step, {}), log.window())
            self.close()
        except Exception as error:  # what ended the run is what matters
            lost = f", and its last steps are lost ({console.one_line(error)})"
        else:
            lost = ""
        return f"the run failed{lost}: the same command goes on at step {self.latest_step or 0}"

    def window(self, step: int) -> Any:
        """The `window` that was saved with a checkpoint; empty for most."""
        return self._metadata(step).get(_WINDOW, ())

    def restore_newest(self, like: Any) -> tuple[Any, int]:
        """(the newest state that is as it was saved, its step).

        The state has the shapes, types and shardings of `like`. Checkpoints that are damaged are
        set aside, and a line says so.

        Raises:
          UserError: none is whole.
        """
        reasons = []
        while self.latest_step is not None:
            step = self.latest_step
            state, reason = self._restore_whole(step, like)
            if reason is None:
                return state, step
            reasons.append(reason)
            self._set_aside(step, reason)
            self._checkpointer.reload()
        raise UserError(
            f"no checkpoint in {self._workdir} is whole ({'; '.join(reasons)}): restore one in "
            f"{FOLDER}/ from a copy, or begin again in a new workdir"
        )

    def restore(self, step: int, like: Any) -> Any:
        """The state saved at `step`, with the shapes, types and shardings of `like`."""
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        loaded = self._checkpointer.load_checkpointables(step, {"state": abstract})
        return loaded["state"]

    def close(self) -> None:
        """Returns when everything is on disk.

        Raises:
          UserError: the disk is full.
        """
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._checkpointer.close()

    @property
    def _folder(self) -> pathlib.Path:
        return self._workdir / FOLDER

    def _finish(self, step: int, saving: Any) -> None:
        saving.result()
        if jax.process_index() == 0:
            checksums.write(self._folder / str(step))

    def _metadata(self, step: int) -> dict[str, Any]:
        return self._checkpointer.checkpointables_metadata(step).custom_metadata or {}

    def _restore_whole(self, step: int, like: Any) -> tuple[Any, str | None]:
        """(the state, None), or (None, what is wrong with it), the same in every process."""
        folder = self._folder / str(step)
        # One process reads all files once more, to compare; all processes read them to restore.
        reason = _find_damage(folder) if jax.process_index() == 0 else None
        (reason, *_) = sharding.gather_json(reason)
        if reason is not None:
            return None, reason
        try:
            state = self.restore(step, like)
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
        found = {
            step: _find_damage(self._folder / str(step), whole=False)
            for step in _steps(self._folder)
        }
        (damaged, *_) = sharding.gather_json([each for each in found.items() if each[1]])
        for step, reason in damaged:
            self._set_aside(step, reason)

    def _set_aside(self, step: int, reason: str) -> None:
        if jax.process_index() == 0:
            target, number = self._workdir / DAMAGED / str(step), 1
            while target.exists():
                number += 1
                target = target.with_name(f"{step}.{number}")
            target.parent.mkdir(exist_ok=True)
            os.replace(self._folder / str(step), target)
            console.print_line(f"dfjax: note: {reason}: moved to {target}", error=True)
        sharding.gather_json(None)  # no process looks before it is done


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
    reader = ocp.training.Checkpointer(folder.absolute(), cleanup_tmp_directories=False)
    metrics = {saved.step: saved.metrics for saved in reader.checkpoints}
    reader.close()
    return metrics


def _load_variables(path: pathlib.Path) -> tuple[dict[str, Any], str | None]:
    """(the variables for evaluation as numpy arrays, the SHA-256 of those that were saved)."""
    metadata = ocp.checkpointables_metadata(path)
    saved = metadata.metadata["state"]
    chosen = {"ema": saved["ema"]} if saved["ema"] else {k: saved[k] for k in _VARIABLES}
    # On one device, whatever the run was trained on.
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), chosen)
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context:
        loaded = jax.device_get(ocp.load_checkpointables(path, {"state": like})["state"])
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
