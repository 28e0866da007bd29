"""Two models as one: the average of their logits, each divided by its temperature."""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable

import numpy as np

from dfjax import model_card
from dfjax.evaluators import score_table
from scripts.recipes import corpora


def write(runs: list[pathlib.Path], out: pathlib.Path, run: Callable[..., None]) -> pathlib.Path:
    """Writes the averaged scores of evaluated runs and their report; returns report.json."""
    folders = []
    for test in corpora.TESTS:
        tables = [_scores(workdir, test) for workdir in runs]
        keys = [list(zip(t.clip, t.frame, t.face, strict=True)) for t in tables]
        if keys[0] != keys[1]:
            sys.exit(f"{runs[0]} and {runs[1]} scored other faces of {test}")
        logit = np.mean([table.logit for table in tables], axis=0)
        averaged = dataclasses.replace(tables[0], logit=logit).at_temperature(1.0)
        folder = out / test
        folder.mkdir(parents=True, exist_ok=True)
        score_table.write(folder, averaged)
        folders.append(folder / score_table.PARQUET_FILE)
    command = (sys.executable, "-m", "dfjax.cli", "report", *folders)
    run(*command, "--threshold", "0.5", "--out", out)
    return out / "report.json"


def compare(
    one: pathlib.Path, other: pathlib.Path, test: str, run: Callable[..., None]
) -> dict[str, float]:
    """Returns what the second has more of AUC than the first, with its paired interval."""
    out = other / f"against_{one.name}_{test}.json"
    scores = [_file(workdir, test) for workdir in (one, other)]
    run(sys.executable, "-m", "dfjax.cli", "compare", *scores, "--out", out)
    return json.loads(out.read_text())["metrics"]["auc"]["difference"]


def _scores(workdir: pathlib.Path, test: str) -> score_table.ScoreTable:
    table = score_table.read(_file(workdir, test))
    temperature = model_card.read(workdir).temperature
    return dataclasses.replace(table, logit=table.logit / temperature)


def _file(workdir: pathlib.Path, test: str) -> pathlib.Path:
    """The scores of a run, or of an average of runs."""
    averaged = workdir / test / score_table.PARQUET_FILE
    own = workdir / "eval" / f"{test}-test" / score_table.PARQUET_FILE
    return averaged if averaged.is_file() else own
