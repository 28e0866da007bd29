"""Rows of metrics: when they are written, and what a resume or a missing TensorFlow changes."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import registry, steps, writer
from dfjax.errors import UserError


def _step_metrics(loss: float, grad_norm: float = 1.0) -> steps.TrainMetrics:
    return steps.TrainMetrics.single_from_model_output(
        loss=jnp.array([loss, loss + 1]),
        correct=jnp.array([True, False]),
        grad_norm=jnp.array(grad_norm),
    )


def _log(metric_writer, every=2) -> writer.StepLog:
    return writer.StepLog(metric_writer, every=every, batch_size=2, schedule=lambda step: step / 10)


def _rows(workdir, to_step=100) -> list[dict]:
    rows = writer.read_rows(workdir, to_step=to_step)
    return [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in rows]


def test_windows_are_averaged_and_written_one_step_late(tmp_path):
    metric_writer = writer.MetricWriter(tmp_path, resume_step=0)
    log = _log(metric_writer)
    for step, loss in enumerate([1.0, 3.0], 1):
        log.add(step, _step_metrics(loss), waited=0.0)
    assert _rows(tmp_path) == []
    log.add(3, _step_metrics(5.0), waited=0.0)
    first = {"step": 2, "train/loss": 2.5, "train/accuracy": 0.5, "train/grad_norm": 1.0}
    assert _rows(tmp_path) == [{**first, "train/lr": 0.1}]  # of update 2, the schedule at step 1
    log.flush()
    assert _rows(tmp_path)[1]["train/loss"] == 5.5
    metric_writer.close()


def test_resume_drops_later_rows_and_a_line_cut_short(tmp_path):
    path = tmp_path / writer.FILE_NAME
    path.write_text('{"step": 2, "a": 1.0}\n{"step": 4, "a": 2.0}\n{"step": 6, "a"')
    writer.MetricWriter(tmp_path, resume_step=2).close()
    assert path.read_text() == '{"step": 2, "a": 1.0}\n'


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["loss", "gradient norm"])
def test_first_step_that_is_not_finite_is_named(tmp_path, name, bad):
    metric_writer = writer.MetricWriter(tmp_path, resume_step=0)
    log = _log(metric_writer, every=4)
    second = {"loss": bad} if name == "loss" else {"loss": 1.0, "grad_norm": bad}
    for step, values in enumerate([{"loss": 1.0}, second, {"loss": np.nan}], 1):
        log.add(step, _step_metrics(**values), waited=0.0)
    message = rf"the {name} became {bad} at step 2, within steps \[1, 3\].*: lower optimizer\.lr"
    with pytest.raises(UserError, match=message):
        log.flush()
    metric_writer.close()
    assert _rows(tmp_path) == []


def test_without_tensorflow_rows_are_written_and_the_missing_writer_is_named(tmp_path):
    program = f"""
import pathlib, sys
sys.modules["tensorflow"] = None
from dfjax import writer
workdir = pathlib.Path({str(tmp_path)!r})
metric_writer = writer.MetricWriter(workdir, resume_step=0, others=["tensorboard"])
metric_writer.write(1, {{"val/auc": 0.5}})
metric_writer.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tensorboard is off" in done.stdout
    assert _rows(tmp_path) == [{"step": 1, "val/auc": 0.5}]


def test_a_writer_of_the_users_gets_rows_and_config(tmp_path):
    got = []

    @registry.register("metric writer", "mine")
    class Mine:
        def __init__(self, workdir, config):
            got.append((workdir, config))

        def write(self, step, scalars):
            got.append((step, scalars))

        def close(self):
            got.append("closed")

    config = {"batch_size": 8}
    made = writer.MetricWriter(tmp_path, resume_step=0, others=["mine"], config=config)
    made.write(3, {"val/auc": 0.5})
    made.close()
    assert got == [(tmp_path, config), (3, {"val/auc": 0.5}), "closed"]
    with pytest.raises(UserError, match=r"writers has 'wandb': use some of .*mine, tensorboard"):
        writer.require_known(["mine", "wandb"])
