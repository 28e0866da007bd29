"""A finished run, or an export of one, on prepared data: scores, metrics, curves, report.json.

The checkpoint, the temperature and everything that decides are chosen on the run's validation split
and then frozen; the data to report is scored once.
"""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import numpy as np

from dfjax import config as dfjax_config
from dfjax import (
    console,
    files,
    model_card,
    models,
    phrases,
    pooling,
    progress,
    recipe,
    sharding,
    tree,
)
from dfjax.data import builder, leaks
from dfjax.errors import UserError
from dfjax.evaluators import (
    card_changes,
    cue_probe,
    decisions,
    fit_card,
    frame,
    run_gate,
    self_blended,
)
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.judge import Judge, Score
from dfjax.evaluators.run_gate import Gate
from dfjax.evaluators.self_blends import SelfBlendedTarget
from dfjax.faces.crop_spec import CropSpec
from dfjax.familiarity import gate as familiarity_gate
from dfjax.familiarity import store
from dfjax.inference import scorer as inference_scorer
from dfjax.inference.network import OUTPUTS
from dfjax.model_card import ModelCard
from dfjax.run import Run


def evaluate(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike,
    out: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Scores `config.eval.data` with the best checkpoint of the run in `workdir`.

    Only `config.eval` is read; everything else comes from the run itself. Returns, and writes to
    OUT/NAME-SPLIT/ (`out` None: WORKDIR/eval), what was measured of each dataset; where two have
    one name, the later gets its parent folder's name too. OUT/report.json has all of them with
    intervals. Writes the run's model card; a card that is there keeps its error rate unless
    `config.eval.abstain_error_rate` is set.

    Raises:
      UserError: no run or no checkpoint in `workdir`; data cut out by another CropSpec, or without
        both classes; a folder that cannot be written to. Then no crop was scored.
    """
    run = Run.open(workdir)
    out = pathlib.Path(out or run.workdir / "eval")
    files.require_writable(out)
    data = run.config.data
    validation = EvalTarget.of(run.dataset, data.val_split)
    targets = _open_own(config, run.dataset, data.test_split)
    if _selected_on_blends(run) or not validation.has_both_classes:
        validation.require_reals("the run's data.val_split")
        validation = SelfBlendedTarget.beside(validation)
    card_before = _card_before(run.workdir)
    if card_before is None:
        files.require_writable(run.workdir)  # for the card
    variables, step = run.variables()
    weights = tree.digest(variables)
    gate = run_gate.find_or_fit(run, variables, card_before, run.training, config.eval.gate_crops)
    score = _load_scorer(run, variables, gate, config.eval.batch_size)
    error_rate = config.eval.abstain_error_rate
    if error_rate is None:
        error_rate = card_changes.error_rate(card_before)
    card = fit_card.fit_card(
        score(validation),
        error_rate=error_rate,
        quality=fit_card.quality_limits(run),
        gate=gate,
        pooling=run.pooling,
        further=_score_further(run, score) if gate else (),
        model_name=run.config.model.name,
        model_arguments={
            **{k: v for k, v in run.config.model.items() if k != "name"},
            "dtype": "float32",
        },
        image_size=run.config.data.image_size,
        crop_spec=run.crop_spec,
        weights=weights,
        step=step,
        synthetic=bool(run.dataset.metadata["synthetic"]),
        protocol=_protocol(run, step, validation),
    )
    if jax.process_index() == 0 and gate:
        store.write(workdir, gate.statistics)
    if jax.process_index() == 0 and card != card_before:
        if card_before is not None:
            console.print_line(f"{workdir}: {card_changes.describe(card_before, card)}")
        card.write(workdir)
    if not targets:
        if jax.process_index() == 0:
            console.print_line(f"{run.dataset.name} has no fakes: name data to score that do")
        return {}
    trained = [*run.training.splits, (run.dataset, data.val_split)]
    judge = Judge(
        card,
        score,
        lambda target: leaks.overlap(target.dataset, target.split, trained),
        cue_probe.fit(EvalTarget.of(run.dataset, data.train_split), config.eval.trivial_cues),
        run.config.to_dict(),
        tuple(config.eval.by),
    )
    return judge.score_all(targets, out)


def check(config: ml_collections.ConfigDict) -> None:
    """Checks that a run of this config can be evaluated when it is trained.

    Raises:
      UserError: data to score are missing, were cut out otherwise than the training data, or lack a
        class; or a setting is out of range.
    """
    _open_own(config, builder.open_dataset(config.data.dir), config.data.test_split)


def evaluate_export(
    path: str | os.PathLike,
    data: Sequence[str],
    out: str | os.PathLike,
    *,
    runtime: str | None = None,
    expect: str | None = None,
    allow_other_crops: bool = False,
    by: Sequence[str] = (),
) -> dict[str, Any]:
    """Scores prepared data, "DIR:SPLIT", with an export, by the decisions of its model card.

    Returns and writes what `evaluate` does, except for the trivial cues, which are fitted to
    training data.

    Raises:
      UserError: no export at `path`, or another than `expect` (`scorer.load`); data cut out by
        another CropSpec, or without both classes; a folder that cannot be written to. Then no crop
        was scored.
    """
    if not data:
        raise UserError(f"{path} is an export: name the data to score, as DIR:SPLIT")
    files.require_writable(out)
    targets = _open(data, "--data")
    model = inference_scorer.load(path, runtime, expect=expect)
    if not allow_other_crops:
        _require_crops(model.card.crop_spec, targets)
    mesh = sharding.make_mesh()

    def predict(_: None, image: jax.Array) -> dict[str, jax.Array]:
        outputs = model.outputs(np.asarray(image))
        return sharding.put_batch(dict(zip(OUTPUTS, outputs.T, strict=True)), mesh)

    batch_size = inference_scorer.MAX_BATCH * mesh.size
    scorer = frame.FrameScorer(predict, mesh, batch_size, recipe.make_reading(dfjax_config.base()))
    score = functools.partial(_score_target, scorer, None)
    judge = Judge(model.card, score, lambda target: None, None, None, by)
    return judge.score_all(targets, pathlib.Path(out))


def _open(data: Sequence[str], chosen_by: str) -> list[EvalTarget]:
    """The targets of these names, each of both classes."""
    targets = [EvalTarget.open(name) for name in dict.fromkeys(data)]
    for target in targets:
        target.require_both_classes(chosen_by)
    return targets


def _open_own(
    config: ml_collections.ConfigDict, trained_on: builder.Dataset, test_split: str
) -> list[EvalTarget]:
    """What a run scores: what `config.eval` names, or its own test split; checks those settings.

    Nothing, where nothing is named and the run's own data are reals alone.
    """
    if config.eval.abstain_error_rate is not None:
        decisions.require_error_rate(config.eval.abstain_error_rate)
    run_gate.require_num_crops(config.eval.gate_crops)
    targets = _open(config.eval.data, "eval.data")
    if not targets and any(trained_on.labels(split).any() for split in trained_on.splits):
        targets = [EvalTarget.of(trained_on, test_split)]
        targets[0].require_both_classes("data.test_split")
    if not config.eval.allow_other_crops:
        _require_crops(trained_on.crop_spec, targets)
    return targets


def _require_crops(spec: CropSpec, targets: Sequence[EvalTarget]) -> None:
    for target in targets:
        spec.require_equal(target.dataset.crop_spec, where=target.name)


def _selected_on_blends(run: Run) -> bool:
    """Whether self-blends chose the checkpoint: fakes then decide nothing, even where there are."""
    entry = run.config.get("evals", {}).get(run.config.select_by.partition("/")[0], {})
    return entry.get("type") == self_blended.TYPE


def _card_before(workdir: pathlib.Path) -> ModelCard | None:
    """The card that an earlier evaluation wrote; None: there is none that can be read."""
    try:
        return model_card.read(workdir)
    except UserError:
        return None


def _load_scorer(run: Run, variables: dict[str, Any], gate: Gate | None, batch_size: int) -> Score:
    """A function from a target to its scores by these variables, numpy arrays."""
    mesh = sharding.make_mesh()
    predict = functools.partial(
        familiarity_gate.predict,
        model=models.for_backend(run.model),
        image_size=run.config.data.image_size,
        maps=gate.embedding.maps if gate else (),
    )
    variables = gate.add_to(variables) if gate else variables
    scorer = frame.FrameScorer(jax.jit(predict), mesh, batch_size, recipe.make_reading(run.config))
    placed = jax.device_put(variables, sharding.replicated(mesh))
    return functools.partial(_score_target, scorer, placed)


def _score_target(scorer: frame.FrameScorer, variables: Any, target: EvalTarget) -> frame.Scores:
    records = target.records
    with progress.Progress(f"score {target.name}", len(records)) as bar:
        return scorer.scores(variables, records, on_batch=bar.update)


def _score_further(run: Run, score: Score) -> list[tuple[frame.Scores, float]]:
    """The scores of validation splits of further training data, and the weights of these data."""
    split = run.config.data.val_split
    return [
        (score(EvalTarget.of(dataset, split)), weight)
        for dataset, weight in run.training.further_having(split)
    ]


def _protocol(run: Run, step: int, validation: EvalTarget) -> dict[str, Any]:
    """How the model and everything that decides were chosen."""
    of_what = ""
    if isinstance(validation, SelfBlendedTarget):
        of_what = "; it has no fakes: thresholds are of self-blended faces"
    return {
        "checkpoint_step": step,
        "selected_by": run.config.select_by,
        "decisions": f"fitted on {validation.name}, then frozen",
        "threshold_rule": "highest balanced accuracy on the validation split, within the band of "
        f"the error rate, then frozen{of_what}",
        "video_score": pooling.IN_WORDS[run.pooling],
        "verdict": phrases.rule(run.pooling),
        "trained_on": ", ".join(
            [f"{run.dataset.name}:{run.config.data.train_split}"]
            + [name for name, _ in run.config.data.get("more", ())]
        ),
        "data": {
            "digest": run.dataset.digest,
            "train_split": run.config.data.train_split,
            "val_split": run.config.data.val_split,
        },
        "seed": run.config.seed,
    }
