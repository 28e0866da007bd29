"""Checkpoints of a run; the only file that imports Orbax checkpointing.

WORKDIR/checkpoints/STEP/ holds the TrainState before update STEP.
"""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from dfjax import console, steps
from dfjax.errors import UserError
from dfjax.steps import TrainState
from dfjax.writer import StepLog

FOLDER = "checkpoints"
_VARIABLES = ("params", "batch_stats")
_WINDOW = "window"


class Checkpoints:
    """Asynchronous, atomic checkpoints: the latest `keep`, and the best by the metric `select_by`.

    A reader (`read_only`) leaves alone what another process is writing.
    """

    def __init__(
        self, workdir: pathlib.Path, *, select_by: str, keep: int = 1, read_only: bool = False
    ):
        self._select_by = select_by
        policies = ocp.training.preservation_policies
        self._checkpointer = ocp.training.Checkpointer(
            (workdir / FOLDER).absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(
                [
                    policies.LatestN(keep),
                    policies.BestN(
                        get_metric_fn=self._rank,
                        n=1,
                        keep_checkpoints_without_metrics=False,
                    ),
                ]
            ),
            cleanup_tmp_directories=not read_only,
        )

    @property
    def latest_step(self) -> int | None:
        """The step of the newest finished checkpoint."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    @property
    def best_step(self) -> int | None:
        """The step with the highest finite metric; the latest where none was evaluated."""
        checkpoints = self._checkpointer.checkpoints
        if not checkpoints:
            return None
        return max(checkpoints, key=lambda c: (self._rank(c.metrics), c.step)).step

    def save(self, step: int, state: Any, metrics: dict[str, float], window: Any = ()) -> None:
        """Starts to save; the state may be donated to the next update at once.

        A checkpoint of this step that is there, of a run that failed before it had measured the
        state, is replaced. `window`, plain JSON, is what the log had not written yet.
        """
        finite = {k: float(v) for k, v in metrics.items() if math.isfinite(v)}
        self._checkpointer.save_checkpointables_async(
            step,
            {"state": state},
            metrics=finite,
            overwrite=step in [saved.step for saved in self._checkpointer.checkpoints],
            custom_metadata={_WINDOW: window} if window else None,
        )

    def rescue(
        self, state: TrainState, metrics: Mapping[int, dict[str, float]], log: StepLog
    ) -> str:
        """Saves the state of a run that failed, and closes; returns what became of it, in words.

        `metrics` are known of states, by step. A state that is not finite is not saved: every
        resumed run would start from it. Nor is one of several processes, all of which would have to
        fail at the same step to save it together.
        """
        try:
            self._checkpointer.wait()  # for what is being saved
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
        return self._checkpointer.checkpointables_metadata(step).custom_metadata.get(_WINDOW, ())

    def restore(self, step: int, like: Any) -> Any:
        """The state saved at `step`, with the shapes, types and shardings of `like`."""
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        loaded = self._checkpointer.load_checkpointables(step, {"state": abstract})
        return loaded["state"]

    def _rank(self, metrics: dict[str, float] | None) -> float:
        """The metric that ranks checkpoints; missing and non-finite values never win."""
        value = (metrics or {}).get(self._select_by)
        return value if value is not None and math.isfinite(value) else -math.inf

    def close(self) -> None:
        """Returns when everything is on disk."""
        self._checkpointer.close()


def _is_finite(state: TrainState, log: StepLog) -> bool:
    """Whether no number of the state, and of the updates that are not logged yet, is inf or nan."""
    try:
        log.window()
    except UserError:
        return False
    return steps.is_finite(state)


def latest_step(workdir: pathlib.Path) -> int | None:
    """The step of the newest finished checkpoint of a run that need not exist; writes nothing."""
    if not (workdir / FOLDER).is_dir():
        return None
    checkpoints = Checkpoints(workdir, select_by="", read_only=True)
    latest = checkpoints.latest_step
    checkpoints.close()
    return latest


def load_variables(
    workdir: pathlib.Path, step: int | None = None, *, select_by: str
) -> tuple[dict[str, Any], int]:
    """(variables for evaluation as numpy arrays, step) of a checkpoint.

    `step` None is the best by the metric `select_by`. Nothing else of the state is read, so neither
    the other fields of the config nor the optimizer matter.

    Raises:
      UserError: the run has no such checkpoint, or it is damaged.
    """
    if step is None and (workdir / FOLDER).is_dir():
        checkpoints = Checkpoints(workdir, select_by=select_by, read_only=True)
        step = checkpoints.best_step
        checkpoints.close()
    path = (workdir / FOLDER / str(step)).absolute()
    if not path.is_dir():
        which = "no checkpoint" if step is None else f"no checkpoint {step}"
        raise UserError(f"{workdir} holds {which}: train first")
    try:
        return jax.device_get(_load_variables(path)), step
    except Exception as error:  # anything that Orbax or the storage below it raises
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}): the checkpoint is damaged; restore "
            "it, or take another"
        ) from error


def _load_variables(path: pathlib.Path) -> dict[str, Any]:
    saved = ocp.checkpointables_metadata(path).metadata["state"]
    chosen = {"ema": saved["ema"]} if saved["ema"] else {k: saved[k] for k in _VARIABLES}
    # On one device, whatever the run was trained on.
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), chosen)
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context:
        loaded = ocp.load_checkpointables(path, {"state": like})["state"]
    return loaded.get("ema", loaded)
