"""What distortions leave of a model's AUC: scores under every condition, then robustness.json.

OUT/scores has the scores under each finished condition: the same command goes on after them.
"""

import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from dfjax import console, files, pooling, progress, versions, walk
from dfjax.distortions import deeperforensics
from dfjax.distortions.distortion import Distortion
from dfjax.distortions.suite import Condition
from dfjax.errors import UserError
from dfjax.evaluators import score_table
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.evaluators.score_table import ScoreTable
from dfjax.inference.scorer import Scorer
from dfjax.preparation.settings import differences
from dfjax.robustness import report, scoring, summary
from dfjax.robustness.source import ClipFaces, Source

_SETTINGS_FILE = "settings.json"


def measure(
    model: Scorer,
    target: EvalTarget,
    source: Source,
    out: str | os.PathLike,
    *,
    distortions: Sequence[Distortion],
    levels: Sequence[int],
    seed: int = 0,
) -> dict[str, Any]:
    """Returns what is left of the AUC of `model` on `target` under distortions at some levels.

    `source` gives the faces of the target. Writes robustness.json, .csv and .png to the folder
    `out`, and prints a table. What an earlier call finished there is not done again.

    Raises:
      UserError: the folder `out` holds results of another model, of other data or of another seed,
        or cannot be written to; a file cannot be used any more.
    """
    out = pathlib.Path(out)
    files.require_writable(out)
    _begin(out, _settings(model, target, source, seed))
    conditions = [Condition(), *_conditions(distortions, levels, seed)]
    tables = _score_all(conditions, source, model, out)
    measured = {str(condition): summary.measure(table) for condition, table in tables}
    result = {
        "kind": source.kind,
        "data": target.name,
        "path": str(target.dataset.path.absolute()),
        "synthetic": bool(target.dataset.metadata["synthetic"]),
        "clips": len(source),
        "model": {"weights": model.card.weights, "step": model.card.step, "runtime": model.runtime},
        "seed": seed,
        "video_score": f"{pooling.IN_WORDS[model.card.pooling]}; 0.5 without a face",
        "interval": summary.INTERVAL,
        **summary.summarize(distortions, levels, measured),
        "notes": _notes(model, target, source, distortions),
        "versions": versions.installed(),
    }
    report.write(out, result)
    report.print_table(result)
    console.print_line(f"wrote {out}: {', '.join(report.FILES)}")
    return result


def _conditions(
    distortions: Sequence[Distortion], levels: Sequence[int], seed: int
) -> Iterator[Condition]:
    for distortion in distortions:
        for level in levels:
            yield Condition(distortion.name, level, seed)


def _settings(model: Scorer, target: EvalTarget, source: Source, seed: int) -> dict[str, Any]:
    """What decides the scores under a condition."""
    return {
        "weights": model.card.weights,
        "temperature": model.card.temperature,
        "pooling": model.card.pooling,
        "runtime": model.runtime,
        "dataset": target.dataset.digest,
        "split": target.split,
        "kind": source.kind,
        "seed": seed,
    }


def _begin(out: pathlib.Path, settings: dict[str, Any]) -> None:
    """Marks the folder as output, and notes the settings or compares them with those there."""
    walk.mark_output(out)
    note = out / _SETTINGS_FILE
    if not note.exists():
        files.replace_json(note, settings)
    if changes := list(differences(json.loads(note.read_text()), settings)):
        raise UserError(
            f"{out} holds scores with {', '.join(changes)}: give the same, or another --out"
        )


def _score_all(
    conditions: Sequence[Condition], source: Source, model: Scorer, out: pathlib.Path
) -> Iterator[tuple[Condition, ScoreTable]]:
    """Yields the scores under each condition, which are kept."""
    work = out / "work"
    with progress.Progress("scoring", len(conditions) * len(source), unit="clips") as bar:
        for number, condition in enumerate(conditions):
            folder = out / "scores" / str(condition)
            if not (folder / score_table.PARQUET_FILE).exists():
                clips = source.read(condition, work)
                shown = _show(clips, bar, number * len(source), condition)
                score_table.write(folder, scoring.score(shown, model))
            yield condition, score_table.read(folder / score_table.PARQUET_FILE)
    shutil.rmtree(work, ignore_errors=True)


def _show(
    clips: Iterator[ClipFaces], bar: progress.Progress, before: int, condition: Condition
) -> Iterator[ClipFaces]:
    """The clips, each of them shown as it comes; `before` came under other conditions."""
    for done, clip in enumerate(clips, before + 1):
        yield clip
        bar.update(done, distortion=str(condition))


def _notes(
    model: Scorer, target: EvalTarget, source: Source, distortions: Sequence[Distortion]
) -> list[str]:
    """What a reader has to know before believing a number."""
    notes = [source.note]
    if target.dataset.metadata["synthetic"]:
        notes.append("the clips are synthetic")
    if model.card.synthetic:
        notes.append("the model was trained on synthetic clips")
    if target.dataset.boxes_from_original:
        notes.append("the stored fakes were cut out where their originals show a face")
    if any(each.name == "blocks" for each in distortions):
        notes += _note_of_blocks(source.kind, target.dataset.crop_spec.size)
    return notes


def _note_of_blocks(kind: str, size: int) -> list[str]:
    """A note if there are, or may be, pictures for which the distortion is none."""
    whole = deeperforensics.WHOLE
    if kind == "crops" and size >= whole:
        return []
    pictures = f"crops of {size} px" if kind == "crops" else f"frames below {whole} px"
    return [f"blocks leaves {pictures} as they are: see blocks_by_area"]
