"""A finished run on prepared data: scores.csv, metrics.json, curves.png and a table.

The checkpoint and the thresholds are chosen on the run's validation split and then frozen; the data
to report is scored once.
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

from dfjax import checkpoint, metrics, model_card, progress, sharding, steps, train, tree
from dfjax.data import builder
from dfjax.evaluators import evaluator, figures, frame, trivial_cues, video
from dfjax.faces import align
from dfjax.media import image as media_image

_COLUMNS = ("auc", "ap", "eer", "log_loss", "accuracy", "precision", "recall", "f1")


@dataclasses.dataclass(frozen=True)
class _Level:
    """What is scored: crops ("frame") or clips ("video")."""

    label: np.ndarray
    score: np.ndarray
    method: np.ndarray


def evaluate(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Scores `config.eval.data` with the best checkpoint of `workdir`.

    Only `config.eval` is read; everything else comes from the run itself. Returns, and writes to
    WORKDIR/eval/NAME-SPLIT/, what was measured of each dataset.

    Raises:
      ValueError: no run or no checkpoint in `workdir`; data cut out by another CropSpec; a dataset
        without both classes (raised at the end: its scores.csv and the other datasets are done).
    """
    run = ml_collections.ConfigDict(checkpoint.stored_config(workdir))
    crop_spec = align.CropSpec.from_json(checkpoint.stored_crop_spec(workdir))
    targets = list(config.eval.data) or [f"{run.data.dir}:{run.data.test_split}"]
    for target in targets:
        same = _open(target)[0].crop_spec == crop_spec
        if not same and not config.eval.allow_other_crops:
            crop_spec.require_equal(_open(target)[0].crop_spec, where=target)

    mesh = sharding.make_mesh()
    model, variables, step = train.load_best(run, workdir, mesh)
    score = _make_scorer(run, model, variables, mesh, config.eval.batch_size)
    validation = _levels(score(f"{run.data.dir}:{run.data.val_split}"))
    decisions = {
        name: _choose_decision(level, config.eval.error_rate) for name, level in validation.items()
    }
    probe = _fit_probe(run, config.eval.trivial_cues)
    protocol = {
        "checkpoint_step": step,
        "selected_by": f"{checkpoint.SELECT_BY} on {run.data.dir}:{run.data.val_split}",
        "thresholds": {name: decision.threshold for name, decision in decisions.items()},
        "threshold_rule": "highest balanced accuracy on the validation split, then frozen",
        "video_score": video.RULE,
        "trained_on": f"{run.data.dir}:{run.data.train_split}",
        "seed": run.seed,
    }
    if jax.process_index() == 0:
        model_card.ModelCard(
            model=run.model.name,
            arguments={k: v for k, v in run.model.items() if k != "name"},
            image_size=run.data.image_size,
            crop_spec=crop_spec,
            decisions=decisions,
            weights=tree.digest(jax.device_get(variables)),
            step=step,
            synthetic=bool(builder.open_dataset(run.data.dir).metadata["synthetic"]),
            protocol=protocol,
        ).write(workdir)
    results, failures = {}, []
    for target in targets:
        try:
            results[target] = _report(target, score(target), decisions, probe, protocol, workdir)
        except ValueError as error:
            failures.append(f"{target}: {error}")
    if jax.process_index() == 0:
        _print_table(results)
    if failures:
        raise ValueError("; ".join(failures))
    return results


def _open(target: str) -> tuple[builder.Dataset, str]:
    """(dataset, split) of "DIR:SPLIT"."""
    data_dir, _, split = target.rpartition(":")
    if not data_dir:
        raise ValueError(f"eval.data {target!r}: give DIR:SPLIT, for example data/videos:test")
    return builder.open_dataset(data_dir), split


def _choose_decision(level: _Level, error_rate: float) -> model_card.Decision:
    threshold = metrics.choose_threshold(level.label, level.score)
    low, high = metrics.choose_band(level.label, level.score, error_rate)
    if low < high:
        # Wider keeps both rates, and no verdict then contradicts the threshold.
        low, high = min(low, threshold), max(high, threshold)
    return model_card.Decision(threshold, low, high, error_rate)


def _make_scorer(
    run: ml_collections.ConfigDict,
    model: nn.Module,
    variables: dict[str, Any],
    mesh: Mesh,
    batch_size: int,
) -> Callable[[str], frame.Scores]:
    """A function from "DIR:SPLIT" to its scores."""
    predict = jax.jit(functools.partial(steps.predict, model=model, image_size=run.data.image_size))

    def score(target: str) -> frame.Scores:
        dataset, split = _open(target)
        records = dataset.source(split)
        scorer = evaluator.Evaluator(
            split,
            records,
            predict=predict,
            mesh=mesh,
            batch_size=batch_size,
            **train.reading(run),
        )
        with progress.Progress(f"score {target}", len(records)) as bar:
            return scorer.scores(variables, on_batch=bar.update)

    return score


def _levels(scores: frame.Scores) -> dict[str, _Level]:
    levels = {"frame": _Level(scores.label, scores.score, scores.method)}
    clips = video.clip_scores(scores)
    if len(clips) < len(scores):
        levels["video"] = _Level(clips.label, clips.score, clips.method)
    return levels


def _measure(level: _Level, threshold: float) -> dict[str, Any]:
    """All metrics of one level, over everything and per method (each against all reals)."""
    found: dict[str, Any] = {
        "real": int((level.label == 0).sum()),
        "fake": int((level.label == 1).sum()),
        **metrics.ranking_metrics(level.label, level.score),
        **metrics.threshold_metrics(level.label, level.score, threshold),
        "confusion": metrics.confusion(level.label, level.score, threshold).tolist(),
        "methods": {},
    }
    for method in np.unique(level.method[level.label == 1]):
        rows = (level.label == 0) | (level.method == method)
        label, score = level.label[rows], level.score[rows]
        found["methods"][str(method)] = {
            "fake": int(label.sum()),
            **metrics.ranking_metrics(label, score),
            **metrics.threshold_metrics(label, score, threshold),
        }
    return found


def _report(
    target: str,
    scores: frame.Scores,
    decisions: dict[str, model_card.Decision],
    probe: Callable[[str], float] | None,
    protocol: dict[str, Any],
    workdir: pathlib.Path,
) -> dict[str, Any]:
    dataset, split = _open(target)
    name = pathlib.Path(target.rpartition(":")[0]).name
    folder = workdir / "eval" / f"{name}-{split}"
    writes = jax.process_index() == 0
    if writes:
        folder.mkdir(parents=True, exist_ok=True)
        _write_scores(folder / "scores.csv", scores)
    metadata = dict(dataset.metadata)
    # A dataset of pictures has no clips to judge, and one of clips may be scored by a model that
    # was selected on pictures: its threshold per crop then serves for both.
    levels = _levels(scores)
    thresholds = {name: decisions.get(name, decisions["frame"]).threshold for name in levels}
    measured = {name: _measure(level, thresholds[name]) for name, level in levels.items()}
    result = {
        "data": target,
        "synthetic": bool(metadata["synthetic"]),
        "protocol": protocol,
        "prepared": metadata,
        "trivial_cues_frame_auc": probe(target) if probe else None,
        **measured,
    }
    if writes:
        (folder / "metrics.json").write_text(json.dumps(result, indent=2) + "\n")
        title = f"{target}{' (synthetic)' if result['synthetic'] else ''}, step "
        figures.save_curves(
            folder / "curves.png",
            f"{title}{protocol['checkpoint_step']}",
            {name: (level.label, level.score, thresholds[name]) for name, level in levels.items()},
        )
        print(f"wrote {folder}/scores.csv, metrics.json, curves.png", flush=True)
    return result


def _write_scores(path: pathlib.Path, scores: frame.Scores) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip", "frame", "face", "method", "label", "score", "logit"])
        columns = (scores.clip, scores.frame, scores.face, scores.method, scores.label)
        rows.writerows(
            zip(*(c.tolist() for c in (*columns, scores.score, scores.logit)), strict=True)
        )


def _print_table(results: dict[str, dict[str, Any]]) -> None:
    table = rich_table.Table(title="the model on prepared data")
    for column in ("data", "level", "real", "fake", *_COLUMNS):
        table.add_column(column, justify="left" if column in ("data", "level") else "right")
    for target, result in results.items():
        name = f"{target} (synthetic)" if result["synthetic"] else target
        for level in ("frame", "video"):
            if level not in result:
                continue
            found = result[level]
            numbers = [f"{found[column]:.4f}" for column in _COLUMNS]
            table.add_row(name, level, str(found["real"]), str(found["fake"]), *numbers)
            for method, part in found["methods"].items():
                if len(found["methods"]) > 1:
                    numbers = [f"{part[column]:.4f}" for column in _COLUMNS]
                    table.add_row(
                        "", f"  {method}", str(found["real"]), str(part["fake"]), *numbers
                    )
        if result["trivial_cues_frame_auc"] is not None:
            trivial = f"{result['trivial_cues_frame_auc']:.4f}"
            table.add_row("", "  trivial cues", "", "", trivial)
    console = rich_console.Console()
    # A log file keeps the whole table; a terminal gets what fits.
    console = console if console.is_terminal else rich_console.Console(width=160)
    console.print(table)


def _fit_probe(run: ml_collections.ConfigDict, limit: int) -> Callable[[str], float] | None:
    """A function from "DIR:SPLIT" to the frame AUC of the trivial-cue baseline.

    The baseline learns from the run's own training split, evenly thinned to `limit` records.
    """
    if not limit:
        return None

    def features(target: str) -> tuple[np.ndarray, np.ndarray]:
        dataset, split = _open(target)
        records = dataset.source(split)
        chosen = np.linspace(0, len(records) - 1, min(limit, len(records)), dtype=int)
        rows = [records[int(index)] for index in chosen]
        values = [
            trivial_cues.features(
                media_image.decode_image(row["image"]), len(row["image"]), float(row["scale"])
            )
            for row in rows
        ]
        return np.stack(values), np.array([row["label"] for row in rows])

    learned = features(f"{run.data.dir}:{run.data.train_split}")

    def probe(target: str) -> float:
        return trivial_cues.probe_auc(*learned, *features(target))

    return probe
