"""The evaluators that a config names, and the one of them that chooses the best checkpoint."""

import ml_collections

from dfjax import evaluators
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.evaluators import frame, self_blended
from dfjax.evaluators.eval_target import EvalTarget


def open_targets(
    config: ml_collections.ConfigDict, dataset: builder.Dataset
) -> dict[str, EvalTarget]:
    """Returns what each evaluator of `config.evals` scores: its own data, or the validation split.

    Raises:
      UserError: a target cannot be read, was cut out by another CropSpec than `dataset`, or lacks a
        class; or what chooses the checkpoint is the test split.
    """
    return {name: _open_target(config, name, dataset) for name in sorted(config.evals)}


def _open_target(
    config: ml_collections.ConfigDict, name: str, dataset: builder.Dataset
) -> EvalTarget:
    target, chosen_by = EvalTarget.of(dataset, config.data.val_split), "data.val_split"
    if data := config.evals[name].data:
        target, chosen_by = EvalTarget.open(data), f"evals.{name}.data"
        if not config.eval.allow_other_crops:
            dataset.crop_spec.require_equal(target.dataset.crop_spec, where=target.name)
    if name == config.select_by.partition("/")[0] and target.split == config.data.test_split:
        raise UserError(
            f"select_by {config.select_by} measures the test split {target.name}: choose "
            "checkpoints on validation data, or no score on it is a test"
        )
    if config.evals[name].type == self_blended.TYPE:
        target.require_reals(chosen_by)
    else:
        target.require_both_classes(chosen_by)
    return target


def build(
    config: ml_collections.ConfigDict, targets: dict[str, EvalTarget], scorer: frame.FrameScorer
) -> dict[str, evaluators.Evaluator]:
    """Returns the evaluators of `config.evals` by name.

    Raises:
      UserError: there is no evaluator of a type, or none measures `config.select_by`.
    """
    built = {}
    for name, target in targets.items():
        own = {k: v for k, v in config.evals[name].to_dict().items() if k not in ("data", "every")}
        built[name] = evaluators.build(records=target.records, scorer=scorer, **own)
    selector, _, metric = config.select_by.partition("/")
    if metric not in (measured := list(built[selector].metrics())):
        choices = ", ".join(f"{selector}/{name}" for name in measured)
        raise UserError(f"select_by {config.select_by!r} is not measured: use one of {choices}")
    return built
