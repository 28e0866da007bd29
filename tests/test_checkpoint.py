"""Which checkpoints stay, and which workdirs a run accepts."""

import jax.numpy as jnp
import numpy as np

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
    np.testing.assert_array_equal(restored.params["w"], [2.0, 3.0, 4.0])
    assert int(restored.step) == 2
    reopened.close()


def test_without_any_evaluation_the_latest_is_the_best(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc", keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, _state(step), {})
    assert checkpoints.best_step == 3
    checkpoints.close()
