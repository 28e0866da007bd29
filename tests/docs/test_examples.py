"""Every example of docs/extending.md works as it is written."""

import csv
import json
import runpy
import subprocess
import sys

import pytest

from dfjax import registry, train
from tests.docs import pages

TEXT = (pages.ROOT / "docs" / "extending.md").read_text()
OVERRIDES = {
    "data.image_size": 32,
    "model.width": 8,
    "batch_size": 8,
    "num_steps": 2,
    "optimizer.warmup_steps": 1,
    "log_every": 1,
    "evals.val.every": 2,
    "evals.calibration.every": 2,
    "checkpoint_every": 2,
    "eval.batch_size": 8,
}


@pytest.mark.parametrize("title", ["A model", "A corpus"])
def test_an_example_of_the_package_does_what_its_trial_says(title):
    # In a process of its own: a name is registered once and for all.
    example, trial = pages.blocks(pages.section(TEXT, title), "python")
    done = subprocess.run(
        [sys.executable, "-c", f"{example}\n{trial}"],
        cwd=pages.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def workdir(prepared, tmp_path_factory, quick_compilation):
    """That of two steps by what the configs of the other sections change, all at once."""
    folder = tmp_path_factory.mktemp("examples")
    of_loss, of_evaluator, of_writer = (
        _read_config(folder / f"{name}.py", title)
        for name, title in [
            ("poly", "A loss"),
            ("calibrated", "An evaluator"),
            ("to_csv", "A metric writer"),
        ]
    )
    config = of_loss
    config.evals, config.writers = of_evaluator.evals, of_writer.writers
    config.update_from_flattened_dict({"data.dir": str(prepared), **OVERRIDES})
    train.train(config, folder / "run")
    # The names were of this run alone: messages that list names are tested in this process, too.
    for kind, name in [("loss", "poly"), ("evaluator", "calibration"), ("metric writer", "csv")]:
        del registry._ENTRIES[kind][name]
    return folder / "run"


def _read_config(path, title):
    (text,) = pages.blocks(pages.section(TEXT, title), "python")
    path.write_text(text)
    return runpy.run_path(str(path))["get_config"]()


def _rows(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_a_run_takes_a_loss_from_its_config(workdir):
    losses = [row["train/loss"] for row in _rows(workdir) if "train/loss" in row]
    assert len(losses) == 2
    assert losses[0] > 0.9  # cross-entropy of a coin is 0.69, and this loss adds as much as a half


def test_a_run_takes_an_evaluator_from_its_config(workdir):
    (found,) = [row["calibration/ece"] for row in _rows(workdir) if "calibration/ece" in row]
    assert 0 <= found <= 1


def test_a_run_takes_a_metric_writer_from_its_config(workdir):
    with (workdir / "metrics.csv").open(newline="") as file:
        written = [(int(step), name, float(value)) for step, name, value in csv.reader(file)]
    expected = [
        (row["step"], name, value)
        for row in _rows(workdir)
        for name, value in row.items()
        if name != "step"
    ]
    assert written == expected
