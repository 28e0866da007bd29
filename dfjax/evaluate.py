"""A finished run, or an export of one, on prepared data: scores.csv, metrics.json, curves.png.

The checkpoint, the temperature and everything that decides are chosen on the run's validation split
and then frozen; the data to report is scored once.
"""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np

from dfjax import config as dfjax_config
from dfjax import (
    console,
    files,
    metrics,
    model_card,
    models,
    progress,
    sharding,
    steps,
    train,
    tree,
    verdict,
    walk,
)
from dfjax.data import builder, leaks
from dfjax.errors import UserError
from dfjax.evaluators import decisions, frame, result, tables, trivial_cues, verdicts, video
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import scorer as inference_scorer
from dfjax.model_card import ModelCard, QualityLimits
from dfjax.run import Run

DEFAULT_ERROR_RATE = 0.05

_Score = Callable[[EvalTarget], frame.Scores]
# From a target and its scores to the AUCs of the trivial cues and of the model.
_Probe = Callable[[EvalTarget, frame.Scores], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class _Judge:
    """A model with everything that was frozen before a target is scored.

    Attributes:
      card: what decides.
      thresholds: of the metrics, by level.
      score: what scores a target.
      overlap: what a target shares with the training data; None: they are not at hand.
      probe: what trivial cues reach; None: it is off.
    """

    card: ModelCard
    thresholds: dict[str, float]
    score: _Score
    overlap: Callable[[EvalTarget], leaks.Overlap | None]
    probe: _Probe | None


def evaluate(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike,
    out: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Scores `config.eval.data` with the best checkpoint of the run in `workdir`.

    Only `config.eval` is read; everything else comes from the run itself. Returns, and writes to
    OUT/NAME-SPLIT/ (`out` None: WORKDIR/eval), what was measured of each dataset; where two have
    one name, the later gets its parent folder's name too. Writes the run's model card; a card that
    is there keeps its error rate unless `config.eval.abstain_error_rate` is set.

    Raises:
      UserError: no run or no checkpoint in `workdir`; data cut out by another CropSpec, or without
        both classes; a folder that cannot be written to. Then no crop was scored.
    """
    run = Run.open(workdir)
    out = pathlib.Path(out or run.workdir / "eval")
    files.require_writable(out)
    own = functools.partial(EvalTarget.of, run.dataset)
    validation, training = (own(run.config.data[f"{name}_split"]) for name in ("val", "train"))
    targets = _open_own(config, run.dataset, run.config.data.test_split)
    validation.require_both_classes("the run's data.val_split")
    card_before = _card_before(run.workdir)
    if card_before is None:
        files.require_writable(run.workdir)  # for the card
    score, variables, step = _load_scorer(run, config.eval.batch_size)
    error_rate = config.eval.abstain_error_rate
    if error_rate is None:
        error_rate = _error_rate_of(card_before)
    card, thresholds = _fit_card(
        score(validation),
        error_rate=error_rate,
        model_name=run.config.model.name,
        model_arguments={
            **{k: v for k, v in run.config.model.items() if k != "name"},
            "dtype": "float32",
        },
        image_size=run.config.data.image_size,
        crop_spec=run.crop_spec,
        weights=tree.digest(variables),
        step=step,
        synthetic=bool(run.dataset.metadata["synthetic"]),
        quality=_quality_limits(run),
        protocol=_protocol(run, step, validation),
    )
    if jax.process_index() == 0 and card != card_before:
        if card_before is not None:
            console.print_line(f"{workdir}: {_changes(card_before, card)}")
        card.write(workdir)
    trained_splits = run.config.data.train_split, run.config.data.val_split
    judge = _Judge(
        card,
        thresholds,
        score,
        lambda target: leaks.overlap(target.dataset, target.split, run.dataset, trained_splits),
        _fit_probe(training, config.eval.trivial_cues),
    )
    return _score_all(targets, judge, out)


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
) -> dict[str, Any]:
    """Scores prepared data, "DIR:SPLIT", with an export, by the decisions of its model card.

    Returns and writes what `evaluate` does, except for the trivial cues, which are fitted to
    training data. Thresholds of metrics are those of the card: of a video, that of its files.

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
    thresholds = {level: model.card.decision(level).threshold for level in ("frame", "video")}
    mesh = sharding.make_mesh()

    def predict(_: None, image: jax.Array) -> jax.Array:
        return sharding.put_batch({"logit": model.logits(np.asarray(image))}, mesh)["logit"]

    batch_size = inference_scorer.MAX_BATCH * mesh.size
    scorer = frame.FrameScorer(predict, mesh, batch_size, train.make_reading(dfjax_config.base()))
    score = functools.partial(_score_target, scorer, None)
    judge = _Judge(model.card, thresholds, score, lambda target: None, None)
    return _score_all(targets, judge, pathlib.Path(out))


def _open(data: Sequence[str], chosen_by: str) -> list[EvalTarget]:
    """The targets of these names, each of both classes."""
    targets = [EvalTarget.open(name) for name in dict.fromkeys(data)]
    for target in targets:
        target.require_both_classes(chosen_by)
    return targets


def _open_own(
    config: ml_collections.ConfigDict, trained_on: builder.Dataset, test_split: str
) -> list[EvalTarget]:
    """What a run scores: what `config.eval` names, or its own test split; checks those settings."""
    if config.eval.abstain_error_rate is not None:
        decisions.require_error_rate(config.eval.abstain_error_rate)
    targets = _open(config.eval.data, "eval.data")
    if not targets:
        targets = [EvalTarget.of(trained_on, test_split)]
        targets[0].require_both_classes("data.test_split")
    if not config.eval.allow_other_crops:
        _require_crops(trained_on.crop_spec, targets)
    return targets


def _require_crops(spec: CropSpec, targets: Sequence[EvalTarget]) -> None:
    for target in targets:
        spec.require_equal(target.dataset.crop_spec, where=target.name)


def _card_before(workdir: pathlib.Path) -> ModelCard | None:
    """The card that an earlier evaluation wrote; None: there is none that can be read."""
    try:
        return model_card.read(workdir)
    except UserError:
        return None


def _error_rate_of(card: ModelCard | None) -> float:
    return DEFAULT_ERROR_RATE if card is None else card.decisions["frame"].error_rate


def _changes(before: ModelCard, after: ModelCard) -> str:
    """What of a model card a new evaluation changed."""
    changed = [
        field.name
        for field in dataclasses.fields(ModelCard)
        if getattr(before, field.name) != getattr(after, field.name)
    ]
    rates = _error_rate_of(before), _error_rate_of(after)
    rate = f" (error rate {rates[0]:g} before, {rates[1]:g} now)" if rates[0] != rates[1] else ""
    return (
        f"the model card changed in {', '.join(changed)}{rate}: what predict and serve decide "
        "changes with it; export the run again"
    )


def _load_scorer(run: Run, batch_size: int) -> tuple[_Score, dict[str, Any], int]:
    """(a function from a target to its scores, the variables as numpy arrays, their step)."""
    mesh = sharding.make_mesh()
    variables, step = run.variables()
    model = models.for_backend(run.model)
    predict = functools.partial(steps.predict, model=model, image_size=run.config.data.image_size)
    scorer = frame.FrameScorer(jax.jit(predict), mesh, batch_size, train.make_reading(run.config))
    placed = jax.device_put(variables, sharding.replicated(mesh))
    return functools.partial(_score_target, scorer, placed), variables, step


def _score_target(scorer: frame.FrameScorer, variables: Any, target: EvalTarget) -> frame.Scores:
    records = target.records
    with progress.Progress(f"score {target.name}", len(records)) as bar:
        return scorer.scores(variables, records, on_batch=bar.update)


def _protocol(run: Run, step: int, validation: EvalTarget) -> dict[str, Any]:
    """How the model and everything that decides were chosen."""
    return {
        "checkpoint_step": step,
        "selected_by": run.config.select_by,
        "decisions": f"fitted on {validation.name}, then frozen",
        "threshold_rule": "highest balanced accuracy on the validation split (of crops: within "
        "the band of the error rate), then frozen",
        "video_score": video.RULE,
        "verdict": verdict.RULE,
        "trained_on": f"{run.dataset.path}:{run.config.data.train_split}",
        "seed": run.config.seed,
    }


def _quality_limits(run: Run) -> QualityLimits:
    """The usual limits; for pictures taken as they are, as small as training had them."""
    limits = QualityLimits()
    if run.crop_spec.crops == "align":
        return limits
    largest = float(run.dataset.column(run.config.data.train_split, "scale").max())
    return dataclasses.replace(limits, max_enlargement=max(limits.max_enlargement, largest))


def _fit_card(
    scores: frame.Scores, *, error_rate: float, quality: QualityLimits, **fields: Any
) -> tuple[ModelCard, dict[str, float]]:
    """(the card, the threshold of each level) that follow from the validation scores.

    The levels' thresholds are for metrics of everything that was scored; the card's decisions, for
    files as users give them.
    """
    temperature = metrics.fit_temperature(scores.label, scores.logit)
    scores = dataclasses.replace(scores, temperature=temperature)
    decisions = verdicts.fit_decisions(
        scores, quality, error_rate=error_rate, min_video_frames=ModelCard.min_video_frames
    )
    # Where no video chose the model, its threshold of crops serves for both.
    thresholds = dict.fromkeys(("frame", "video"), decisions["frame"].threshold)
    videos = result.levels(scores)["video"]
    if videos.has_both_classes:
        thresholds["video"] = metrics.choose_threshold(videos.label, videos.score)
    card = ModelCard(decisions=decisions, temperature=temperature, quality=quality, **fields)
    return card, thresholds


def _fit_probe(training: EvalTarget, limit: int) -> _Probe | None:
    """What trivial cues reach where the model is scored, on the same crops, at most `limit`.

    The probes learn from as many crops of the run's own training split.
    """
    if not limit:
        return None
    learned = _read_cues(training, limit)
    probes = trivial_cues.fit(learned.features, learned.label)

    def probe(target: EvalTarget, scores: frame.Scores) -> dict[str, Any]:
        crops = _read_cues(target, limit)
        by_name = {**probes.scores(crops.features), "model": scores.score[crops.row]}
        aucs = {name: crops.aucs(score) for name, score in by_name.items()}
        return {"crops": len(crops), "of": len(scores), "auc": aucs}

    return probe


def _read_cues(target: EvalTarget, limit: int) -> trivial_cues.Crops:
    records = target.records
    return trivial_cues.read(records, limit, records.labels)


def _score_all(targets: Sequence[EvalTarget], judge: _Judge, out: pathlib.Path) -> dict[str, Any]:
    """Returns the results by target; one that fails does not keep the others from being scored."""
    results, failures = {}, []
    for target in targets:
        try:
            results[target.name] = _report(target, judge, out)
        except UserError as error:
            failures.append(f"{target.name}: {error}")
    if jax.process_index() == 0:
        tables.print_results(results)
    if failures:
        raise UserError("; ".join(failures))
    return results


def _report(target: EvalTarget, judge: _Judge, out: pathlib.Path) -> dict[str, Any]:
    """Scores one target and writes what was measured; the scores first, as metrics may fail."""
    overlap = judge.overlap(target)
    scores = dataclasses.replace(judge.score(target), temperature=judge.card.temperature)
    judged = verdicts.files(scores, judge.card.quality)
    folder = _folder(out, target)
    measured = result.describe(target, judged, judge.card, judge.thresholds, overlap)
    writes = jax.process_index() == 0
    if writes:
        walk.mark_output(folder)
        result.write_scores(folder, scores, judged)
        files.replace_json(folder / result.METRICS_FILE, measured)
    measured |= result.measure(scores, judge.thresholds)
    measured["trivial_cues"] = judge.probe(target, scores) if judge.probe else None
    if writes:
        files.replace_json(folder / result.METRICS_FILE, measured)
        synthetic = " (synthetic)" if measured["synthetic"] else ""
        title = f"{target.name}{synthetic}, step {judge.card.step}"
        result.write_curves(folder, title, scores, judge.thresholds)
        console.print_line(f"wrote {folder}: {', '.join(result.FILES)}")
    return measured


def _folder(out: pathlib.Path, target: EvalTarget) -> pathlib.Path:
    """Where the results on a target go: no other dataset's are there."""
    path = target.dataset.path.absolute()
    names = [part for part in path.parts if part != path.anchor]
    for depth in range(1, len(names) + 1):
        folder = out / f"{'-'.join(names[-depth:])}-{target.split}"
        if not (folder / result.METRICS_FILE).exists():
            return folder
        if json.loads((folder / result.METRICS_FILE).read_text()).get("path") == str(path):
            return folder
    raise UserError(f"{out} holds results of other datasets named {path}: move them away")
