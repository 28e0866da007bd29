"""Whole runs of the real command: killed, resumed, on several processes, and refused."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from configs import resnet
from dfjax import checkpoint, checksums, lock, losses, train
from dfjax.data import builder, sampling
from dfjax.errors import InUseError, PreemptedError, UserError
from dfjax.evaluators import score_table
from tests import runs

STEPS = runs.STEPS


@pytest.fixture(scope="module")
def uninterrupted(prepared, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    output = runs.run(prepared, workdir, "--config.writers=('tensorboard',)")
    assert re.search(r"compiled the train step in [\d.]+ s: \d+ MiB state", output)
    assert re.search(rf"best checkpoint \d+ by val/auc [01]\.\d{{4}}, in {workdir}", output)
    return workdir


def test_run_leaves_metrics_checkpoints_and_a_report(uninterrupted):
    rows = runs.metrics(uninterrupted)
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4, 6, 8, 10, 12]
    assert [row["step"] for row in rows if "val/auc" in row] == [6, 12]
    # Of the update to each step: warm-up at one and two thirds, then tenths of the cosine.
    tenths = np.array([1, 3, 5, 7, 9])
    expected = [2 / 3, *(1 + np.cos(np.pi * tenths / 10)) / 2]
    peak = resnet.get_config().optimizer.lr
    logged = [row["train/lr"] / peak for row in rows if "train/lr" in row]
    assert logged == pytest.approx(expected, rel=1e-5)
    status = json.loads((uninterrupted / "status.json").read_text())
    assert (status["state"], status["step"], status["num_steps"]) == ("finished", STEPS, STEPS)
    assert status["last_checkpoint"] == STEPS
    assert not (uninterrupted / lock.FILE).exists()
    kept = {p.name for p in (uninterrupted / "checkpoints").iterdir()}
    assert {"8", "12"} <= kept <= {"6", "8", "12"}  # the latest two, and the best
    assert list((uninterrupted / "tensorboard").iterdir())
    (report,) = (path for path in (uninterrupted / "eval").iterdir() if path.is_dir())
    written = {path.name for path in report.iterdir() if path.name[0] != "."}
    assert written == {"scores.parquet", "scores.csv", "metrics.json", "curves.png"}
    found = json.loads((report / "metrics.json").read_text())
    scores = score_table.read(report / "scores.csv")
    assert len(scores) == 9
    fake = scores.label == 1
    pairs = scores.score[fake][:, None] - scores.score[~fake]
    assert found["frame"]["auc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    called = scores.score >= found["protocol"]["thresholds"]["frame"]
    assert found["frame"]["accuracy"] == pytest.approx((called == fake).mean())


# How, with which workers, and which seed chooses the moment; scripts/long_tests.sh tries more
# moments.
ENDS = [(signal.SIGKILL, 2, 0)]
MORE_ENDS = [
    pytest.param(how, 0, seed, marks=pytest.mark.long)
    for how in (signal.SIGKILL, signal.SIGTERM)
    for seed in range(10)
]


@pytest.mark.parametrize(("how", "workers", "seed"), ENDS + MORE_ENDS)
def test_ended_and_resumed_run_is_bit_identical(
    prepared, uninterrupted, tmp_path, how, workers, seed
):
    workdir = tmp_path / "killed"
    # The number of workers is part of the config, but not of what the run computes.
    extra = f"--config.data.num_workers={workers}"
    rng = np.random.default_rng(seed)
    process = runs.start(runs.command(prepared, workdir, extra))
    deadline = time.monotonic() + 240
    while not (workdir / "checkpoints" / "4").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.5))
    if how == signal.SIGKILL:
        os.killpg(process.pid, how)  # with its loader processes, as a machine dies
        process.communicate()
        steps = r"(4|6|8|12)\n"
    else:
        process.send_signal(how)
        ended = runs.finish(process, status=PreemptedError.status)
        status = json.loads((workdir / "status.json").read_text())
        assert status["state"] in ("saved", "finished")
        steps = re.search(r"is saved at step (\d+), and goes on there|SIGTERM", ended)[1] or "12"
    output = runs.run(prepared, workdir, extra)
    assert re.search(rf"resuming .* at step {steps}", output)
    config = runs.config(prepared)
    expected, found = runs.state(uninterrupted, config), runs.state(workdir, config)
    assert any("ema" in name for name in expected)
    assert any("opt_state" in name for name in expected)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert runs.metrics(workdir) == runs.metrics(uninterrupted)


def _damage(data: pathlib.Path, split: str, index: int) -> pathlib.Path:
    """Flips a byte of a record, which only reading it detects; returns the file."""
    image = builder.open_dataset(data).records(split)[index]["image"]
    (file,) = builder.dataset_dir(data).glob(f"*-{split}.array_record*")
    shard = bytearray(file.read_bytes())
    shard[shard.index(image) + len(image) // 2] ^= 0xFF
    file.write_bytes(shard)
    (builder.dataset_dir(data) / checksums.FILE).unlink()  # it would tell before the first step
    return file


def _rows_of_batches(prepared, count: int) -> list[list[int]]:
    """The numbers of the training records in the first batches."""
    config, dataset = runs.config(prepared), builder.open_dataset(prepared)
    part = sampling.Part(dataset.records("train"), dataset.index("train"))
    pairs = sampling.Pairs([part], sampling.Sampling(config.data.pairing), seed=config.seed)
    size = config.batch_size // 2
    batches = [[pairs[n] for n in range(step * size, (step + 1) * size)] for step in range(count)]
    return [[row for pair in batch for row in (pair.real, *pair.others)] for batch in batches]


@pytest.mark.parametrize(
    ("split", "step"), [("train", 1), pytest.param("val", 6, marks=pytest.mark.long)]
)
def test_a_run_that_failed_goes_on_at_its_last_step_bit_identically(
    prepared, uninterrupted, tmp_path, split, step
):
    """A damaged record ends it within a window of the log, or in the first evaluation."""
    data, workdir = tmp_path / "data", tmp_path / "run"
    shutil.copytree(prepared, data)
    first, second = _rows_of_batches(prepared, 2)
    index = min(set(second) - set(first)) if split == "train" else 0
    file = _damage(data, split, index)
    output = runs.run(data, workdir, status=1)
    assert "chunk data hash mismatch" in output
    assert f"the run failed: the same command goes on at step {step}" in output
    shutil.copy(builder.dataset_dir(prepared) / file.name, file)
    assert f"resuming {workdir} at step {step}" in runs.run(data, workdir)
    config = runs.config(prepared)
    expected, found = runs.state(uninterrupted, config), runs.state(workdir, config)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert runs.metrics(workdir) == runs.metrics(uninterrupted)
    checkpoints = checkpoint.Checkpoints(workdir, select_by="val/auc", keep=2)
    best = checkpoints.best_step
    checkpoints.close()
    aucs = {row["step"]: row["val/auc"] for row in runs.metrics(workdir) if "val/auc" in row}
    assert best == max(aucs, key=lambda step: (aucs[step], step))


EVALUATING = """
import pathlib, sys, time
from dfjax import main
from dfjax.evaluators import ranking

def measure(self, variables):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(600)
    yield "never", 0.0

ranking.Ranking.run = measure
sys.exit(main.main(sys.argv[2:]))
"""


def test_sigterm_does_not_wait_for_an_evaluation(prepared, uninterrupted, tmp_path):
    """Those of many faces take minutes, and a scheduler gives seconds."""
    workdir, marker = tmp_path / "run", tmp_path / "evaluating"
    _, _, _, *arguments = runs.command(prepared, workdir)
    process = runs.start([sys.executable, "-c", EVALUATING, str(marker), *arguments])
    deadline = time.monotonic() + 240
    while not marker.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    output = runs.finish(process, status=PreemptedError.status, seconds=120)
    assert "is saved at step 6, and goes on there" in output
    assert json.loads((workdir / "status.json").read_text())["state"] == "saved"
    assert f"resuming {workdir} at step 6" in runs.run(prepared, workdir)
    assert runs.metrics(workdir) == runs.metrics(uninterrupted)
    config = runs.config(prepared)
    expected, found = runs.state(uninterrupted, config), runs.state(workdir, config)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_second_run_is_told_whose_the_workdir_is(prepared, tmp_path):
    with lock.held(tmp_path):
        output = runs.run(prepared, tmp_path, status=InUseError.status)
        names = (
            f"{tmp_path} is in use by another run (process {os.getpid()} on {socket.gethostname()})"
        )
        assert names in output
        assert (tmp_path / lock.FILE).exists()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_run_holds_nobody_off(tmp_path):
    (tmp_path / lock.FILE).write_text('{"host": "elsewhere", "pid": 1}')
    with lock.held(tmp_path):
        assert str(os.getpid()) in (tmp_path / lock.FILE).read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.name": "resnet19"}, "unknown model 'resnet19': choose one of"),
        ({"loss": "hinge"}, "unknown loss 'hinge': choose one of bce"),
        (
            {"batch_size": 10},
            "batch_size 10 is not divisible by 2 classes x 4 devices: use a multiple of 8",
        ),
        (
            {"batch_size": 8, "grad_accum_steps": 2},
            "batch_size 8 is not divisible by 2 classes x 4 devices x 2 microbatches: use a "
            "multiple of 16",
        ),
        ({"eval.batch_size": 6}, "eval.batch_size 6 is not divisible by 4 devices"),
        ({"data.val_split": "dev"}, "has no split 'dev': use one of"),
        ({"evals.val.every": 5}, "log_every 2 must divide evals.val.every 5"),
        ({"evals.val.type": "recall"}, "unknown evaluator 'recall': choose one of ranking"),
        ({"evals.val.every": 0}, "evals.val.every 0: use 1 or more"),
        ({"degrade.probability": 2.0}, "degrade.probability is 2.0: use a probability"),
        ({"augment.mixup": 2.0}, "augment.mixup is 2.0: use a probability"),
        ({"log_every": 0}, "log_every 0: use 1 or more"),
        ({"select_by": "val/aucc"}, "'val/aucc' is not measured: use one of val/auc, val/ap"),
        ({"select_by": "test/auc"}, "select_by 'test/auc' is not measured: use one like val/auc"),
        ({"data.val_split": "test"}, "select_by val/auc measures the test split"),
    ],
)
def test_settings_that_do_not_fit_are_named(prepared, tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        train.train(runs.config(prepared, **changes), tmp_path)
    assert list(tmp_path.iterdir()) == []  # the corrected command finds no other run here


def test_data_without_a_class_are_refused_before_the_first_step(prepared, one_class, tmp_path):
    own = "data.val_split) has 2 real and 0 fake crops, and both classes are needed"
    other = {"type": "ranking", "data": f"{one_class}:test", "every": 6}
    for data, changes, message in [
        (one_class, {}, own),
        (
            one_class,
            {"data.train_split": "test"},
            "none of 2 crops (data.train_split, data.more) is fake",
        ),
        (prepared, {"evals": {"other": other}}, "evals.other.data) has 2 real and 0 fake crops"),
    ]:
        config = runs.config(data, **{"eval.allow_other_crops": True})
        with config.unlocked():
            config.update(changes if "evals" in changes else {})
        config.update_from_flattened_dict({k: v for k, v in changes.items() if k != "evals"})
        with pytest.raises(UserError, match=re.escape(message)):
            train.train(config, tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_or_a_disk_that_does_not_fit_is_refused_before_the_first_step(prepared, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file: give a folder"):
        train.train(runs.config(prepared), tmp_path / "file")
    with pytest.raises(UserError, match=r"run cannot be written to \(Not a directory\)"):
        train.train(runs.config(prepared), tmp_path / "file" / "run")
    # Twice the parameters, two moments and averages of about 150 million million.
    huge = runs.config(prepared, **{"model.width": 2**18})
    with pytest.raises(
        UserError, match=r"two checkpoints of this run take [\d,.]+ GiB, and .* left"
    ):
        train.train(huge, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run" / "checkpoints" / "4").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds checkpoints, and no config\.json"):
        train.train(runs.config(prepared), tmp_path / "run")


def test_videos_that_are_not_there_choose_no_checkpoint(prepared, tmp_path):
    config = runs.config(prepared, select_by="val/video_auc")
    message = "'val/video_auc' is not measured: use one of val/auc, val/ap, val/eer, val/log_loss"
    with pytest.raises(UserError, match=message):
        train.train(config, tmp_path)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.data.dir=/nowhere", "dfjax: error: /nowhere holds no prepared dataset"),
        ("--config.optimiser.lr=1", 'did you mean "optimizer"'),
        ("--config.optimizer.lrr=1", 'did you mean "lr"'),
    ],
)
def test_command_ends_in_one_line_of_cause_and_fix(prepared, tmp_path, flag, message):
    output = runs.run(prepared, tmp_path / "run", flag, status=2)
    assert message in output.strip().splitlines()[-1], output
    assert "Traceback" not in output


def test_workdir_of_another_run_is_refused_with_the_difference(prepared, uninterrupted):
    config = runs.config(prepared, **{"model.width": 16})
    with pytest.raises(ValueError, match=r"another run: .*model.width was 8, is 16"):
        train.train(config, uninterrupted)


def test_loss_that_is_not_finite_stops_the_run_and_names_the_step(prepared, tmp_path):
    config = runs.config(prepared, **{"optimizer.lr": 1e30, "optimizer.clip_norm": 0.0})
    message = r"the loss became (nan|inf) at step \d+, within steps \[\d+, \d+\]"
    with pytest.raises(UserError, match=message):
        train.train(config, tmp_path)


@pytest.mark.usefixtures("quick_compilation")
def test_gradient_that_is_not_finite_is_in_no_checkpoint(prepared, tmp_path, monkeypatch, capsys):
    def flat_start(logit, label):
        """0 everywhere, and with the slope of a square root at 0: infinity times 0."""
        return jnp.sqrt(0.0 * logit * label)

    monkeypatch.setattr(losses, "build", lambda name, **_: flat_start)
    every_step = {"log_every": 1, "checkpoint_every": 1}
    with pytest.raises(UserError, match=r"the gradient norm became nan at step 1\b"):
        train.train(runs.config(prepared, **every_step), tmp_path)
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    assert checkpoints.latest_step is None
    checkpoints.close()
    assert "the gradient norm became nan at step 1, the newest" in capsys.readouterr().out


@pytest.mark.usefixtures("quick_compilation")
def test_early_stop_ends_after_evaluations_without_a_better_one(prepared, tmp_path):
    changes = {
        "model.name": "convnext_tiny",  # BatchNorm's statistics would move the scores
        "model.zero_init_residual": None,
        "optimizer.lr": 0.0,
        "evals.val.every": 2,
        "early_stop_patience": 2,
    }
    train.train(runs.config(prepared, **changes), tmp_path)
    evaluated = {row["step"]: row["val/auc"] for row in runs.metrics(tmp_path) if "val/auc" in row}
    assert list(evaluated) == [2, 4, 6]
    assert len(set(evaluated.values())) == 1
