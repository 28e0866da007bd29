"""Checkpoints of a run; the only file that imports Orbax.

WORKDIR/checkpoints/STEP/ holds the TrainState before update STEP. Beside the checkpoints lie
config.json and crop_spec.json: what the run was and how its faces were cut out. All of it has one
format number (`compatibility.RUN`), in config.json beside the fields of the config.
"""

import json
import math
import pathlib
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from dfjax import compatibility
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec

CONFIG_FILE = "config.json"
CROP_SPEC_FILE = "crop_spec.json"
FOLDER = "checkpoints"
SELECT_BY = "val/auc"
_VARIABLES = ("params", "batch_stats")
_FORMAT = "format"
# What evaluating, predicting and exporting read of a config, beside `model.*`: there, a missing
# field is the family's default. The other fields matter to whoever resumes the run.
_FIELDS = (
    "seed",
    "model.name",
    "data.dir",
    "data.train_split",
    "data.val_split",
    "data.test_split",
    "data.image_size",
    "data.num_workers",
    "data.num_threads",
    "data.prefetch",
)


def _selection_metric(metrics: dict[str, float] | None) -> float:
    """The metric that ranks checkpoints; missing and non-finite values never win."""
    value = (metrics or {}).get(SELECT_BY)
    return value if value is not None and math.isfinite(value) else -math.inf


class Checkpoints:
    """Asynchronous, atomic checkpoints: the latest `keep` and the best by validation AUC.

    A reader (`read_only`) leaves alone what another process is writing.
    """

    def __init__(self, workdir: pathlib.Path, *, keep: int = 1, read_only: bool = False):
        policies = ocp.training.preservation_policies
        self._checkpointer = ocp.training.Checkpointer(
            (workdir / FOLDER).absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(
                [
                    policies.LatestN(keep),
                    policies.BestN(
                        get_metric_fn=_selection_metric,
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
        """The step with the highest finite validation AUC; the latest where none was evaluated."""
        found = self._checkpointer.checkpoints
        if not found:
            return None
        return max(found, key=lambda c: (_selection_metric(c.metrics), c.step)).step

    def save(self, step: int, state: Any, metrics: dict[str, float]) -> None:
        """Starts to save; the state may be donated to the next update at once."""
        finite = {k: float(v) for k, v in metrics.items() if math.isfinite(v)}
        self._checkpointer.save_checkpointables_async(step, {"state": state}, metrics=finite)

    def restore(self, step: int, like: Any) -> Any:
        """The state saved at `step`, with the shapes, types and shardings of `like`."""
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
        )
        loaded = self._checkpointer.load_checkpointables(step, {"state": abstract})
        return loaded["state"]

    def close(self) -> None:
        """Returns when everything is on disk."""
        self._checkpointer.close()


def load_variables(workdir: pathlib.Path, step: int | None = None) -> tuple[dict[str, Any], int]:
    """(variables for evaluation as numpy arrays, step) of a checkpoint; `step` None is the best.

    Nothing else of the state is read, so neither the config nor the optimiser of the run matters.

    Raises:
      UserError: the run has no such checkpoint, or it is damaged.
    """
    if step is None and (workdir / FOLDER).is_dir():
        checkpoints = Checkpoints(workdir, read_only=True)
        step = checkpoints.best_step
        checkpoints.close()
    path = (workdir / FOLDER / str(step)).absolute()
    if not path.is_dir():
        which = "no checkpoint" if step is None else f"no checkpoint {step}"
        raise UserError(f"{workdir} holds {which}: train first")
    try:
        return jax.device_get(_load_variables(path)), step
    except Exception as error:  # whatever Orbax and the storage below it stumble upon
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


def describe_run(workdir: pathlib.Path, *, config: dict[str, Any], crop_spec: CropSpec) -> None:
    """Writes what the run is into a new workdir, or makes sure that an old one is the same run.

    Raises:
      UserError: the workdir holds a run of another config or crop spec, each difference is named;
        or of a format that this version does not read.
    """
    config = json.loads(json.dumps(config))  # tuples become lists, as in the file
    for name, new in ((CONFIG_FILE, config), (CROP_SPEC_FILE, crop_spec.to_json())):
        path = workdir / name
        if path.exists():
            old = _read_config(workdir) if name == CONFIG_FILE else json.loads(path.read_text())
            differences = _differences(old, new)
            if differences:
                raise UserError(
                    f"{workdir} holds a run with another {path.stem}: {'; '.join(differences)}: "
                    f"use a new --workdir (init_from={workdir} begins with these weights), or the "
                    "same settings to resume"
                )
        elif jax.process_index() == 0:
            workdir.mkdir(parents=True, exist_ok=True)
            numbered = {_FORMAT: compatibility.RUN.current} if name == CONFIG_FILE else {}
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps({**new, **numbered}, indent=2, sort_keys=True) + "\n")
            temporary.replace(path)


def stored_config(workdir: pathlib.Path) -> dict[str, Any]:
    """The resolved config of the run in `workdir`, as the version had it that began the run.

    Raises:
      UserError: there is no run, or one of a format that this version does not read; or the config
        lacks a field that evaluating, predicting or exporting needs.
    """
    config = _read_config(workdir)
    if missing := [name for name in _FIELDS if name not in _flatten(config)]:
        raise compatibility.RUN.unreadable(workdir, f"{CONFIG_FILE} lacks {', '.join(missing)}")
    return config


def _read_config(workdir: pathlib.Path) -> dict[str, Any]:
    path = workdir / CONFIG_FILE
    if not path.exists():
        raise UserError(f"{workdir} holds no run ({CONFIG_FILE} is missing): train first")
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise compatibility.RUN.unreadable(workdir, f"{CONFIG_FILE}: {error}") from error
    compatibility.RUN.require(config.pop(_FORMAT, None), workdir)
    return config


def stored_crop_spec(workdir: pathlib.Path) -> CropSpec:
    """The CropSpec that the run in `workdir` was trained on.

    Raises:
      UserError: it is missing, or a spec that this version does not know.
    """
    try:
        return CropSpec.from_json(json.loads((workdir / CROP_SPEC_FILE).read_text()))
    except (OSError, ValueError) as error:
        raise compatibility.RUN.unreadable(workdir, f"{CROP_SPEC_FILE}: {error}") from error


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, by dotted name. A field that is missing is as good as one left None: whoever
    reads it has a default for that.
    """
    old, new = _flatten(old), _flatten(new)
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return [f"{name} was {_show(old, name)}, is {_show(new, name)}" for name in changed]


def _show(flat: dict[str, Any], name: str) -> str:
    return repr(flat[name]) if name in flat else "not a field"


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The fields of all groups by dotted name."""
    flat = {}
    for name, value in config.items():
        is_group = isinstance(value, dict)
        flat |= _flatten(value, f"{prefix}{name}.") if is_group else {f"{prefix}{name}": value}
    return flat
