"""A finished run on prepared data: scores.csv, metrics.json, curves.png and a table.

The checkpoint, the temperature and everything that decides are chosen on the run's validation split
and then frozen; the data to report is scored once.
"""

import csv
import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from rich import console as rich_console
from rich import table as rich_table

from dfjax import checkpoint, metrics, model_card, progress, sharding, steps, train, tree, verdict
from dfjax.data import builder, leaks
from dfjax.errors import UserError
from dfjax.evaluators import evaluator, figures, frame, trivial_cues, verdicts, video
from dfjax.faces.crop_spec import CropSpec
from dfjax.model_card import ModelCard, QualityLimits
from dfjax.run import Run

DEFAULT_ERROR_RATE = 0.05

# From a target and its scores to the AUCs of the trivial cues and of the model.
_Probe = Callable[["_Target", frame.Scores], dict[str, Any]]

_COLUMNS = ("auc", "ap", "eer", "log_loss", "accuracy", "precision", "recall", "f1")
_RESULT = "metrics.json"


@dataclasses.dataclass(frozen=True)
class _Level:
    """What is scored: crops ("frame") or videos ("video")."""

    label: np.ndarray
    score: np.ndarray
    method: np.ndarray

    @property
    def has_both_classes(self) -> bool:
        return set(self.label.tolist()) == {0, 1}


@dataclasses.dataclass(frozen=True)
class _Target:
    """A split of a prepared dataset to score; `name` is "DIR:SPLIT" as it was given."""

    name: str
    data_dir: pathlib.Path
    split: str
    dataset: builder.Dataset

    @classmethod
    def open(cls, name: str) -> "_Target":
        data_dir, _, split = name.rpartition(":")
        if not data_dir:
            raise UserError(f"eval.data {name!r}: give DIR:SPLIT, for example data/videos:test")
        return cls(name, pathlib.Path(data_dir), split, builder.open_dataset(data_dir))


def evaluate(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Scores `config.eval.data` with the best checkpoint of `workdir`.

    Only `config.eval` is read; everything else comes from the run itself. Returns, and writes to
    WORKDIR/eval/NAME-SPLIT/, what was measured of each dataset; where two have one name, the later
    gets its parent folder's name too. Writes the run's model card; a card that is there keeps its
    error rate unless `config.eval.abstain_error_rate` is set.

    Raises:
      UserError: no run or no checkpoint in `workdir`; data cut out by another CropSpec; a dataset
        without both classes (raised at the end: its scores.csv and the other datasets are done).
    """
    opened = Run.open(workdir)
    run, crop_spec = opened.config, opened.crop_spec
    names = list(config.eval.data) or [f"{run.data.dir}:{run.data.test_split}"]
    targets = [_Target.open(name) for name in dict.fromkeys(names)]
    for target in targets:
        if not config.eval.allow_other_crops:
            crop_spec.require_equal(target.dataset.crop_spec, where=target.name)

    mesh = sharding.make_mesh()
    variables, step = opened.variables()
    model, variables = opened.model, jax.device_put(variables, sharding.replicated(mesh))
    score = _make_scorer(run, model, variables, mesh, config.eval.batch_size)
    validation = _Target.open(f"{run.data.dir}:{run.data.val_split}")
    before = _card_before(workdir)
    error_rate = config.eval.abstain_error_rate
    if error_rate is None:
        error_rate = _error_rate_of(before)
    card, thresholds = _fit_card(
        score(validation),
        error_rate=error_rate,
        model_name=run.model.name,
        model_arguments={**{k: v for k, v in run.model.items() if k != "name"}, "dtype": "float32"},
        image_size=run.data.image_size,
        crop_spec=crop_spec,
        weights=tree.digest(jax.device_get(variables)),
        step=step,
        synthetic=bool(validation.dataset.metadata["synthetic"]),
        quality=_quality_limits(crop_spec, validation.dataset, run.data.train_split),
        protocol={
            "checkpoint_step": step,
            "selected_by": f"{checkpoint.SELECT_BY} on {validation.name}",
            "decisions": f"fitted on {validation.name}, then frozen",
            "threshold_rule": "highest balanced accuracy on the validation split (of crops: within "
            "the band of the error rate), then frozen",
            "video_score": video.RULE,
            "verdict": verdict.RULE,
            "trained_on": f"{run.data.dir}:{run.data.train_split}",
            "seed": run.seed,
        },
    )
    if jax.process_index() == 0 and card != before:
        if before is not None:
            print(f"{workdir}: {_changes(before, card)}", flush=True)
        card.write(workdir)
    probe = _fit_probe(run, config.eval.trivial_cues)
    trained_splits = run.data.train_split, run.data.val_split
    results, failures = {}, []
    for target in targets:
        try:
            shared = leaks.overlap(target.data_dir, target.split, run.data.dir, trained_splits)
            results[target.name] = _report(
                target, score(target), card, thresholds, shared, probe, workdir
            )
        except UserError as error:
            failures.append(f"{target.name}: {error}")
    if jax.process_index() == 0:
        _print_tables(results)
    if failures:
        raise UserError("; ".join(failures))
    return results


def _card_before(workdir: pathlib.Path) -> ModelCard | None:
    """The card that an earlier evaluation wrote; None: there is none that can be read."""
    try:
        return model_card.read(workdir)
    except ValueError:
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


def _quality_limits(
    crop_spec: CropSpec, dataset: builder.Dataset, train_split: str
) -> QualityLimits:
    """The usual limits; for pictures taken as they are, as small as training had them."""
    limits = QualityLimits()
    if crop_spec.crops == "align":
        return limits
    largest = float(dataset.column(train_split, "scale").max())
    return dataclasses.replace(limits, max_enlargement=max(limits.max_enlargement, largest))


def _fit_card(
    scores: frame.Scores, *, error_rate: float, quality: QualityLimits, **fields: Any
) -> tuple[ModelCard, dict[str, float]]:
    """(the card, the threshold of each level) that the validation scores ask for.

    The levels' thresholds are for metrics of everything that was scored; the card's decisions, for
    files as users give them.
    """
    temperature = metrics.fit_temperature(scores.label, scores.logit)
    scores = dataclasses.replace(scores, temperature=temperature)
    decisions = verdicts.fit_decisions(
        scores,
        quality,
        error_rate=error_rate,
        min_video_frames=ModelCard.min_video_frames,
    )
    thresholds = {"frame": decisions["frame"].threshold}
    videos = _levels(scores)["video"]
    if videos.has_both_classes:
        thresholds["video"] = metrics.choose_threshold(videos.label, videos.score)
    card = ModelCard(decisions=decisions, temperature=temperature, quality=quality, **fields)
    return card, thresholds


def _make_scorer(
    run: ml_collections.ConfigDict,
    model: nn.Module,
    variables: dict[str, Any],
    mesh: Mesh,
    batch_size: int,
) -> Callable[[_Target], frame.Scores]:
    """A function from a target to its scores."""
    predict = jax.jit(functools.partial(steps.predict, model=model, image_size=run.data.image_size))

    def score(target: _Target) -> frame.Scores:
        records = target.dataset.records(target.split)
        scorer = evaluator.Evaluator(
            target.split,
            records,
            predict=predict,
            mesh=mesh,
            batch_size=batch_size,
            **train.reading(run),
        )
        with progress.Progress(f"score {target.name}", len(records)) as bar:
            return scorer.scores(variables, on_batch=bar.update)

    return score


def _levels(scores: frame.Scores) -> dict[str, _Level]:
    """Crops, and the clips that are videos; either may lack a class."""
    videos = video.clip_scores(scores).videos
    return {
        "frame": _Level(scores.label, scores.score, scores.method),
        "video": _Level(videos.label, videos.score, videos.method),
    }


def _measure(level: _Level, threshold: float) -> dict[str, Any]:
    """All metrics of one level, over everything and per method (each against all reals)."""
    measured: dict[str, Any] = {
        "real": int((level.label == 0).sum()),
        "fake": int((level.label == 1).sum()),
        **metrics.ranking_metrics(level.label, level.score),
        **metrics.threshold_metrics(level.label, level.score, threshold),
        "threshold": threshold,
        "confusion": metrics.confusion(level.label, level.score, threshold).tolist(),
        "methods": {},
    }
    for method in np.unique(level.method[level.label == 1]):
        rows = (level.label == 0) | (level.method == method)
        label, score = level.label[rows], level.score[rows]
        measured["methods"][str(method)] = {
            "fake": int(label.sum()),
            **metrics.ranking_metrics(label, score),
            **metrics.threshold_metrics(label, score, threshold),
        }
    return measured


def _report(
    target: _Target,
    scores: frame.Scores,
    card: ModelCard,
    thresholds: dict[str, float],
    shared: leaks.Overlap,
    probe: _Probe | None,
    workdir: pathlib.Path,
) -> dict[str, Any]:
    scores = dataclasses.replace(scores, temperature=card.temperature)
    files = verdicts.files(scores, card.quality)
    metadata = dict(target.dataset.metadata)
    folder = _folder(workdir, target)
    result = {
        "data": target.name,
        "path": str(target.data_dir.absolute()),
        "synthetic": bool(metadata["synthetic"]),
        "protocol": {**card.protocol, "temperature": card.temperature, "thresholds": thresholds},
        "prepared": metadata,
        "boxes_from_original": target.dataset.boxes_from_original,
        "shared_with_training": dataclasses.asdict(shared),
        "notes": _notes(target.dataset, shared),
        "pictures": sum(file.kind == "image" for file in files),
        "videos": sum(file.kind == "video" for file in files),
        "verdicts": verdicts.measure(files, card, _without_face(metadata, target.split)),
    }
    writes = jax.process_index() == 0
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
        _write_scores(folder / "scores.csv", scores, files)
        _write_json(folder / _RESULT, result)
    levels = _levels(scores)
    if not levels["video"].has_both_classes:  # no video level, or nothing to compare in it
        del levels["video"]
    # Where no video chose the model, its threshold of crops serves for both.
    thresholds = {name: thresholds.get(name, thresholds["frame"]) for name in levels}
    result |= {name: _measure(level, thresholds[name]) for name, level in levels.items()}
    result["trivial_cues"] = probe(target, scores) if probe else None
    if writes:
        _write_json(folder / _RESULT, result)
        title = f"{target.name}{' (synthetic)' if result['synthetic'] else ''}, step {card.step}"
        figures.save_curves(
            folder / "curves.png",
            title,
            {name: (level.label, level.score, thresholds[name]) for name, level in levels.items()},
        )
        print(f"wrote {folder}/scores.csv, {_RESULT}, curves.png", flush=True)
    return result


def _notes(dataset: builder.Dataset, shared: leaks.Overlap) -> list[str]:
    """What a reader has to know before believing a score."""
    notes = []
    if dataset.metadata["synthetic"]:
        notes.append("synthetic")
    if shared:
        notes.append(shared.describe())
    if dataset.boxes_from_original:
        notes.append("fakes cut out where their originals show a face")
    return notes


def _folder(workdir: pathlib.Path, target: _Target) -> pathlib.Path:
    """Where the results on a target go: no other dataset's are there."""
    path = target.data_dir.absolute()
    names = [part for part in path.parts if part != path.anchor]
    for depth in range(1, len(names) + 1):
        folder = workdir / "eval" / f"{'-'.join(names[-depth:])}-{target.split}"
        if not (folder / _RESULT).exists():
            return folder
        if json.loads((folder / _RESULT).read_text()).get("path") == str(path):
            return folder
    raise UserError(f"{workdir}/eval holds results of other datasets named {path}: move them away")


def _without_face(metadata: dict[str, Any], split: str) -> dict[str, int]:
    """The clips of each class that preparing found no face in."""
    return {name: counts["no_face"] for name, counts in metadata["coverage"][split].items()}


def _write_json(path: pathlib.Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)


def _write_scores(path: pathlib.Path, scores: frame.Scores, files: list[verdicts.File]) -> None:
    """One row per crop; `quality` says why it does not count towards the verdict on its file."""
    faces = {row: face for file in files for row, face in zip(file.rows, file.faces, strict=True)}
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["clip", "frame", "face", "track", "method", "label", "score", "logit", "quality"]
        )
        for row, score in enumerate(scores.score.tolist()):
            rows.writerow(
                [
                    scores.clip[row],
                    scores.frame[row],
                    scores.face[row],
                    faces[row].track,
                    scores.method[row],
                    scores.label[row],
                    score,
                    float(scores.logit[row]),
                    faces[row].quality or "",
                ]
            )


def _print_tables(results: dict[str, dict[str, Any]]) -> None:
    # rich would take ":train:" for an emoji. A log file keeps whole tables; a terminal, what fits.
    console = rich_console.Console(emoji=False)
    if not console.is_terminal:
        console = rich_console.Console(emoji=False, width=160)
    for table in (_scores_table(results), _verdicts_table(results)):
        if table.rows:
            console.print(table)
    for target, result in results.items():
        for note in result["notes"]:
            console.print(f"{target}: {note}", markup=False)


def _scores_table(results: dict[str, dict[str, Any]]) -> rich_table.Table:
    table = rich_table.Table(title="the model on prepared data (* see the notes)")
    for column in ("data", "level", "real", "fake", *_COLUMNS):
        table.add_column(column, justify="left" if column in ("data", "level") else "right")
    for target, result in results.items():
        for level in ("frame", "video"):
            if level not in result:
                continue
            measured = result[level]
            numbers = [f"{measured[column]:.4f}" for column in _COLUMNS]
            counts = str(measured["real"]), str(measured["fake"])
            table.add_row(_marked(target, result), level, *counts, *numbers)
            for method, part in measured["methods"].items():
                if len(measured["methods"]) > 1:
                    numbers = [f"{part[column]:.4f}" for column in _COLUMNS]
                    counts = str(measured["real"]), str(part["fake"])
                    table.add_row("", f"  {method}", *counts, *numbers)
        cues = result["trivial_cues"]
        for name, aucs in cues["auc"].items() if cues else ():
            used = f"{cues['crops']} of {cues['of']} crops"
            name = "the model" if name == "model" else f"trivial cues, {name}"
            for level, auc in aucs.items():
                if auc is not None:
                    table.add_row(used, f"  {name}, {level}", "", "", f"{auc:.4f}")
    return table


def _verdicts_table(results: dict[str, dict[str, Any]]) -> rich_table.Table:
    table = rich_table.Table(title="verdicts on files, as predict and serve give them")
    for column in ("data", "files", "kind", "with a verdict", "reals called fake"):
        table.add_column(column, justify="left" if column in ("data", "kind") else "right")
    table.add_column("fakes called real", justify="right")
    for target, result in results.items():
        for kind in verdicts.KINDS:
            if kind in result["verdicts"]:
                found = result["verdicts"][kind]
                rates = [
                    "-" if found[name] is None else f"{found[name]:.1%}"
                    for name in ("coverage", "reals_called_fake", "fakes_called_real")
                ]
                table.add_row(_marked(target, result), str(found["files"]), kind, *rates)
        if "no_face" in result["verdicts"]:
            found = result["verdicts"]["no_face"]
            table.add_row("", str(found["files"]), "no face", "0.0%", "", "")
    return table


def _marked(target: str, result: dict[str, Any]) -> str:
    return f"{target} *" if result["notes"] else target


def _fit_probe(run: ml_collections.ConfigDict, limit: int) -> _Probe | None:
    """What trivial cues reach where the model is scored, on the same crops, at most `limit`.

    The probes learn from as many crops of the run's own training split.
    """
    if not limit:
        return None

    def read(target: _Target) -> trivial_cues.Crops:
        return trivial_cues.read(target.dataset.records(target.split), limit)

    learned = read(_Target.open(f"{run.data.dir}:{run.data.train_split}"))
    probes = trivial_cues.fit(learned.features, learned.label)

    def probe(target: _Target, scores: frame.Scores) -> dict[str, Any]:
        crops = read(target)
        by_name = {**probes.scores(crops.features), "model": scores.score[crops.row]}
        aucs = {name: crops.aucs(score) for name, score in by_name.items()}
        return {"crops": len(crops), "of": len(scores), "auc": aucs}

    return probe
