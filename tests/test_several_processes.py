"""A run on several devices and processes does what one does, also where one of them is lost."""

import json
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from dfjax import hosts, lock
from dfjax.errors import InUseError, PreemptedError
from tests import runs

CHANGES = {
    "num_steps": 20,
    "evals.val.every": 10,
    # Plain SGD: Adam would divide rounding differences by nearly vanishing second moments.
    # With microbatches and dropout, which belong to places in the global batch.
    "optimizer.name": "sgd",
    "optimizer.lr": 0.05,
    "model.dropout": 0.1,
    "batch_size": 16,
    "grad_accum_steps": 2,
    # Blocks that begin as the identity do not amplify what devices round differently.
    "model.zero_init_residual": True,
    # Flips alone, whose pixels are whole: others may round to the next grey level.
    **dict.fromkeys(runs.ROUNDED, 0.0),
}
EXTRA = [f"--config.{name}={value}" for name, value in CHANGES.items()]


def _train_together(
    prepared, workdir: pathlib.Path, *, count: int, devices: int, says: str = ""
) -> None:
    """Trains to the end in several processes, one of which says something."""
    processes = runs.start_together(prepared, workdir, *EXTRA, count=count, devices=devices)
    try:
        outputs = [runs.finish(process) for process in processes]
    finally:
        runs.kill(processes)
    assert any(says in output for output in outputs)


def _assert_alike(prepared, workdir: pathlib.Path, one: pathlib.Path) -> None:
    config = runs.config(prepared, **CHANGES)
    expected, found = runs.state(one, config), runs.state(workdir, config)
    for leaf in expected:
        np.testing.assert_allclose(found[leaf], expected[leaf], atol=1e-5, err_msg=leaf)
    for a, b in zip(runs.metrics(one), runs.metrics(workdir), strict=True):
        assert a == pytest.approx(b, abs=1e-5)


@pytest.fixture(scope="module")
def one(prepared, tmp_path_factory) -> pathlib.Path:
    workdir = tmp_path_factory.mktemp("several") / "one"
    runs.run(prepared, workdir, *EXTRA)
    return workdir


def test_four_devices_do_what_one_does(prepared, one, tmp_path):
    runs.run(prepared, tmp_path / "four", *EXTRA, devices=4)
    _assert_alike(prepared, tmp_path / "four", one)


def _end(prepared, workdir: pathlib.Path, how: signal.Signals, rng: np.random.Generator) -> None:
    """Trains in two processes, one of which gets a signal at some moment after step 4."""
    processes = runs.start_together(prepared, workdir, *EXTRA, count=2, devices=2)
    deadline = time.monotonic() + 200
    while not (workdir / "checkpoints" / "4").exists():
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    wait = rng.uniform(0, 0.5)
    print(f"{how.name} after {wait:.3f} s")
    time.sleep(wait)
    signalled, other = processes[:: rng.choice([1, -1])]
    signalled.send_signal(how)
    try:
        for process in (signalled, other):
            process.communicate(timeout=2 * hosts.HEARTBEAT_SECONDS + 60)
    except subprocess.TimeoutExpired:
        runs.kill(processes)
        pytest.fail(f"a process still runs {hosts.HEARTBEAT_SECONDS} s after the heartbeat stopped")
    state = json.loads((workdir / "status.json").read_text())["state"]
    if how == signal.SIGTERM:
        ended = {"saved": PreemptedError.status, "finished": 0}[state]
        assert [process.returncode for process in processes] == [ended, ended]
    else:
        assert other.returncode != 0 or state == "finished"


def test_two_processes_that_are_ended_and_go_on_do_what_one_does_and_one_goes_on_where_they_were(
    prepared, one, tmp_path
):
    together = tmp_path / "together"
    _end(prepared, together, signal.SIGTERM, np.random.default_rng(0))
    _train_together(prepared, together, count=2, devices=2, says="resuming")
    _assert_alike(prepared, together, one)
    kept = sorted((together / "checkpoints").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(kept[-1])
    assert f"at step {kept[-2].name}" in runs.run(prepared, together, *EXTRA)
    _assert_alike(prepared, together, one)


@pytest.mark.long
def test_four_processes_do_what_one_does(prepared, one, tmp_path):
    _train_together(prepared, tmp_path / "together", count=4, devices=1)
    _assert_alike(prepared, tmp_path / "together", one)


@pytest.fixture(scope="module")
def pair(prepared, tmp_path_factory) -> pathlib.Path:
    """Two processes of two devices that nothing ended."""
    workdir = tmp_path_factory.mktemp("several") / "pair"
    _train_together(prepared, workdir, count=2, devices=2)
    return workdir


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_one_of_two_ends_both_and_they_go_on_bit_identically(
    prepared, pair, tmp_path, how, seed
):
    workdir = tmp_path / "signalled"
    _end(prepared, workdir, how, np.random.default_rng(seed))
    _train_together(prepared, workdir, count=2, devices=2, says="resuming")
    config = runs.config(prepared, **CHANGES)
    expected, found = runs.state(pair, config), runs.state(workdir, config)
    for leaf in expected:
        np.testing.assert_array_equal(found[leaf], expected[leaf], err_msg=leaf)
    assert runs.metrics(workdir) == runs.metrics(pair)


def test_a_workdir_in_use_ends_both_at_once(prepared, tmp_path):
    with lock.held(tmp_path):
        processes = runs.start_together(prepared, tmp_path, *EXTRA, count=2, devices=1)
        for process in processes:
            output = runs.finish(process, status=InUseError.status, seconds=120)
            assert "is in use by another run" in output
