"""Which checkpoints stay, and which workdirs a run accepts."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import checkpoint, steps


def _state(step: int) -> steps.TrainState:
    return steps.TrainState(
        step=jnp.array(step, jnp.int32),
        params={"w": jnp.arange(3.0) + step},
        batch_stats={},
        opt_state=(jnp.ones(2),),
        ema=None,
    )


def test_latest_and_best_stay_and_metrics_that_are_not_finite_never_win(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, keep=2)
    assert checkpoints.latest_step is None
    assert checkpoints.best_step is None
    nan, inf = float("nan"), float("inf")
    for step, auc in enumerate([0.6, 0.9, nan, 0.7, inf, 0.8, None], 1):
        metrics = {} if auc is None else {"val/auc": auc}
        checkpoints.save(step, _state(step), metrics)
    checkpoints.close()

    reopened = checkpoint.Checkpoints(tmp_path, keep=2)
    assert reopened.latest_step == 7
    assert reopened.best_step == 2
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"2", "6", "7"}
    restored = reopened.restore(2, _state(0))
    np.testing.assert_array_equal(restored.params["w"], [2.0, 3.0, 4.0])
    assert int(restored.step) == 2
    reopened.close()


def test_without_any_evaluation_the_latest_is_the_best(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, _state(step), {})
    assert checkpoints.best_step == 3
    checkpoints.close()


def test_workdir_keeps_to_one_run(tmp_path):
    config = {"seed": 0, "optimizer": {"lr": 0.1}, "rules": ("a", "b")}
    for _ in range(2):  # the second time is a resume
        checkpoint.describe_run(tmp_path, config=config, crop_spec='{"size": 256}')
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored == {"format": 1, "seed": 0, "optimizer": {"lr": 0.1}, "rules": ["a", "b"]}
    changed = {**config, "optimizer": {"lr": 0.2}}
    with pytest.raises(ValueError, match=r"another config: optimizer\.lr was 0\.1, is 0\.2"):
        checkpoint.describe_run(tmp_path, config=changed, crop_spec='{"size": 256}')
    with pytest.raises(ValueError, match="another crop_spec: size was 256, is 128"):
        checkpoint.describe_run(tmp_path, config=config, crop_spec='{"size": 128}')


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"holds no run \(config\.json is missing\): train first"):
        checkpoint.stored_config(tmp_path)
