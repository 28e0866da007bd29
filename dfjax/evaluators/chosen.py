"""The evaluators that a config names, and the one of them that chooses the best checkpoint."""

from collections.abc import Mapping
from typing import Any

from dfjax import evaluators
from dfjax.data import builder
from dfjax.errors import UserError
from dfjax.evaluators import frame, self_blended
from dfjax.evaluators.eval_target import EvalTarget

Entries = Mapping[str, Mapping[str, Any]]  # of `config.evals`, by name


def open_targets(
    entries: Entries,
    dataset: builder.Dataset,
    *,
    select_by: str,
    val_split: str,
    test_split: str,
    allow_other_crops: bool,
) -> dict[str, EvalTarget]:
    """Returns what each evaluator scores: its own data, or the validation split of `dataset`.

    Raises:
      UserError: a target cannot be read, was cut out by another CropSpec than `dataset`, or lacks a
        class; or what chooses the checkpoint is the test split.
    """
    targets = {}
    for name, entry in sorted(entries.items()):
        target, chosen_by = EvalTarget.of(dataset, val_split), "data.val_split"
        if entry["data"]:
            target, chosen_by = EvalTarget.open(entry["data"]), f"evals.{name}.data"
            if not allow_other_crops:
                dataset.crop_spec.require_equal(target.dataset.crop_spec, where=target.name)
        if name == select_by.partition("/")[0] and target.split == test_split:
            raise UserError(
                f"select_by {select_by} measures the test split {target.name}: choose "
                "checkpoints on validation data, or no score on it is a test"
            )
        if entry["type"] == self_blended.TYPE:
            target.require_reals(chosen_by)
        else:
            target.require_both_classes(chosen_by)
        targets[name] = target
    return targets


def build(
    entries: Entries,
    targets: Mapping[str, EvalTarget],
    scorer: frame.FrameScorer,
    *,
    select_by: str,
) -> dict[str, evaluators.Evaluator]:
    """Returns the evaluators by name.

    Raises:
      UserError: there is no evaluator of a type, or none measures `select_by`.
    """
    built = {}
    for name, target in targets.items():
        own = {k: v for k, v in entries[name].items() if k not in ("data", "every")}
        built[name] = evaluators.build(records=target.records, scorer=scorer, **own)
    selector, _, metric = select_by.partition("/")
    if metric not in built[selector].metrics():  # the last ones are known by reading all records
        choices = ", ".join(f"{selector}/{name}" for name in built[selector].metrics())
        raise UserError(f"select_by {select_by!r} is not measured: use one of {choices}")
    return built
