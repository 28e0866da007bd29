"""Two models as one: the average of their logits, each at its temperature."""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Sequence

import numpy as np
import scipy.special

from dfjax.evaluators import score_table
from scripts.recipes import corpora, figures


def write(keys: Sequence[str], out: pathlib.Path, run: Callable[..., None]) -> pathlib.Path:
    """Writes the averaged scores of two rows and their report; returns report.json."""
    folders = []
    for test in corpora.TESTS:
        tables = [score_table.read(figures.scores_of(key, test)) for key in keys]
        faces = [list(zip(t.clip, t.frame, t.face, strict=True)) for t in tables]
        if faces[0] != faces[1]:
            sys.exit(f"{keys[0]} and {keys[1]} scored other faces of {test}")
        logit = np.mean([scipy.special.logit(table.score) for table in tables], axis=0)
        averaged = dataclasses.replace(tables[0], logit=logit).at_temperature(1.0)
        folder = out / test
        folder.mkdir(parents=True, exist_ok=True)
        score_table.write(folder, averaged)
        folders.append(folder / score_table.PARQUET_FILE)
    command = (sys.executable, "-m", "dfjax.cli", "report", *folders)
    run(*command, "--threshold", "0.5", "--out", out)
    return out / "report.json"


def compare(
    one: pathlib.Path, other: pathlib.Path, out: pathlib.Path, run: Callable[..., None]
) -> dict[str, float]:
    """Returns what the second scores have more of AUC than the first, with its paired interval."""
    run(sys.executable, "-m", "dfjax.cli", "compare", one, other, "--out", out)
    return json.loads(out.read_text())["metrics"]["auc"]["difference"]
