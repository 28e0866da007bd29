"""Which checkpoints stay, and that none is used that is not what was saved."""

import pathlib
import resource
import shutil
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import checkpoint, steps
from dfjax.errors import UserError


def _state(step: int) -> steps.TrainState:
    return steps.TrainState(
        step=jnp.array(step, jnp.int32),
        params={"w": jnp.arange(1_000.0) + step},
        batch_stats={},
        opt_state=(jnp.ones(2),),
        ema=None,
    )


def test_latest_and_best_stay_and_metrics_that_are_not_finite_never_win(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    assert checkpoints.latest_step is None
    assert checkpoints.best_step is None
    nan, inf = float("nan"), float("inf")
    for step, auc in enumerate([0.6, 0.9, nan, 0.7, inf, 0.8, None], 1):
        metrics = {} if auc is None else {"val/auc": auc}
        checkpoints.save(step, _state(step), metrics)
    checkpoints.close()

    reopened = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    assert reopened.latest_step == 7
    assert reopened.best_step == 2
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"2", "6", "7"}
    restored = reopened.restore(2, _state(0))
    np.testing.assert_array_equal(restored.params["w"][:3], [2.0, 3.0, 4.0])
    assert int(restored.step) == 2
    reopened.close()


def test_without_any_evaluation_the_latest_is_the_best(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, _state(step), {})
    assert checkpoints.best_step == 3
    checkpoints.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> pathlib.Path:
    """A workdir with checkpoints 1 and 2."""
    workdir = tmp_path_factory.mktemp("saved")
    checkpoints = checkpoint.Checkpoints(workdir, select_by="val/auc", keep=2)
    for step in (1, 2):
        checkpoints.save(step, _state(step), {"val/auc": step / 10})
    checkpoints.close()
    return workdir


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: pathlib.Path, bit: int | None = None) -> None:
    """Flips a bit, by default one in the middle."""
    content = bytearray(path.read_bytes())
    bit = 4 * len(content) if bit is None else bit
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _data(step: pathlib.Path) -> pathlib.Path:
    """The file that holds the values."""
    return max(step.glob("state/ocdbt.process_0/d/*"), key=lambda path: path.stat().st_size)


def _empty(folder: pathlib.Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


MUTATIONS = {
    "data truncated": lambda step: _truncate(_data(step)),
    "data flipped": lambda step: _flip(_data(step)),
    "tree truncated": lambda step: _truncate(step / "state" / "_METADATA"),
    "tree flipped": lambda step: _flip(step / "state" / "_METADATA"),
    "index gone": lambda step: (step / "state" / "manifest.ocdbt").unlink(),
    "folder empty": _empty,
    "metric changed": lambda step: (step / "metrics" / "metrics").write_text('{"val/auc": 0.9}'),
    "manifest truncated": lambda step: _truncate(step / "checksums.json"),
    "everything but data": lambda step: [p.unlink() for p in _files(step) if p.parent.name != "d"],
}


@pytest.mark.parametrize("mutate", MUTATIONS.values(), ids=MUTATIONS)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(saved, tmp_path, mutate):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    mutate(tmp_path / "checkpoints" / "2")
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    state, step = checkpoints.restore_newest(_state(0))
    assert step == 1
    np.testing.assert_array_equal(state.params["w"][:3], [1.0, 2.0, 3.0])
    assert [path.name for path in (tmp_path / "damaged_checkpoints").iterdir()] == ["2"]
    checkpoints.save(2, _state(2), {})  # its place is free
    checkpoints.close()
    assert checkpoint.latest_step(tmp_path) == 2


def test_every_flipped_bit_is_found(saved, tmp_path):
    rng = np.random.default_rng(0)
    files = _files(saved / "checkpoints" / "2")
    sizes = np.array([path.stat().st_size for path in files])
    for number in range(20):
        workdir = tmp_path / str(number)
        shutil.copytree(saved, workdir)
        path = files[rng.choice(len(files), p=sizes / sizes.sum())]
        _flip(workdir / path.relative_to(saved), int(rng.integers(8 * path.stat().st_size)))
        checkpoints = checkpoint.Checkpoints(workdir, select_by="val/auc", keep=2)
        assert checkpoints.restore_newest(_state(0))[1] == 1, path
        checkpoints.close()


def test_a_checkpoint_that_a_killed_run_had_not_listed_is_used(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    (tmp_path / "checkpoints" / "2" / "checksums.json").unlink()
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    assert checkpoints.restore_newest(_state(0))[1] == 2
    checkpoints.close()
    _flip(_data(tmp_path / "checkpoints" / "2"))
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    assert checkpoints.restore_newest(_state(0))[1] == 1
    checkpoints.close()


def test_weights_of_a_damaged_checkpoint_are_refused(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    MUTATIONS["data flipped"](tmp_path / "checkpoints" / "2")
    for step in (2, None):
        with pytest.raises(UserError, match=r"is damaged: .*restore .* from a copy"):
            checkpoint.load_variables(tmp_path, step, select_by="val/auc")
    weights, step = checkpoint.load_variables(tmp_path, 1, select_by="val/auc")
    np.testing.assert_array_equal(weights["params"]["w"][:3], [1.0, 2.0, 3.0])
    assert step == 1
    assert checkpoint.load_variables(saved, select_by="val/auc")[1] == 2


def test_no_checkpoint_that_is_whole_is_said(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    for step in ("1", "2"):
        MUTATIONS["data flipped"](tmp_path / "checkpoints" / step)
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    with pytest.raises(UserError, match=r"no checkpoint in .* is whole .*begin again"):
        checkpoints.restore_newest(_state(0))
    checkpoints.close()


# Orbax leaves the other writes of a save that failed to themselves.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_keeps_earlier_checkpoints_and_says_where_and_how_much(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    checkpoints.save(1, _state(1), {})
    checkpoints.wait()
    large = _state(2).replace(params={"w": jnp.asarray(np.random.default_rng(0).random(100_000))})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        checkpoints.save(2, large, {})
        with pytest.raises(UserError, match=r"does not fit on the disk of .*, which has .* left"):
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["1"]
    reopened = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    assert reopened.restore_newest(_state(0))[1] == 1
    reopened.close()
