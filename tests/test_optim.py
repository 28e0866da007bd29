"""Optimiser chains against values computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dfjax import optim, tree

SETTINGS = {
    "name": "sgd",
    "lr": 0.1,
    "num_steps": 100,
    "warmup_steps": 10,
    "momentum": 0.0,
    "weight_decay": 0.5,
    "decay_rule": ".*/kernel",
    "clip_norm": 0.0,
}
PARAMS = {"conv": {"kernel": jnp.array([2.0])}, "bn": {"scale": jnp.array([2.0])}}
GRADS = {"conv": {"kernel": jnp.array([3.0])}, "bn": {"scale": jnp.array([4.0])}}


def _updates(step: int, **changes) -> dict:
    tx, _ = optim.make_optimizer(**SETTINGS | changes)
    state = tx.init(PARAMS)
    for _ in range(step):
        _, state = tx.update(GRADS, state, PARAMS)
    return tx.update(GRADS, state, PARAMS)[0]


def test_schedule_rises_to_the_peak_and_ends_at_zero():
    _, schedule = optim.make_optimizer(**SETTINGS)
    assert [float(schedule(s)) for s in (0, 5, 10, 100)] == pytest.approx([0, 0.05, 0.1, 0])
    assert float(schedule(55)) == pytest.approx(0.05)  # half way down the cosine


def test_only_kernels_decay():
    updates = _updates(10)  # at the peak learning rate
    np.testing.assert_allclose(updates["conv"]["kernel"], -0.1 * (3 + 0.5 * 2), rtol=1e-6)
    np.testing.assert_allclose(updates["bn"]["scale"], -0.1 * 4, rtol=1e-6)


def test_clipping_shortens_the_whole_gradient():
    updates = _updates(10, clip_norm=1.0, weight_decay=0.0)  # the norm of (3, 4) is 5
    np.testing.assert_allclose(updates["conv"]["kernel"], -0.1 * 3 / 5, rtol=1e-6)
    np.testing.assert_allclose(updates["bn"]["scale"], -0.1 * 4 / 5, rtol=1e-6)


def test_adamw_is_that_of_optax():
    tx, schedule = optim.make_optimizer(**SETTINGS | {"name": "adamw"})
    mask = {"conv": {"kernel": True}, "bn": {"scale": False}}
    peer = optax.adamw(schedule, weight_decay=0.5, mask=mask)
    state, peer_state = tx.init(PARAMS), peer.init(PARAMS)
    for _ in range(20):
        updates, state = tx.update(GRADS, state, PARAMS)
        expected, peer_state = peer.update(GRADS, peer_state, PARAMS)
        jax.tree.map(np.testing.assert_allclose, updates, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "adam2"}, "unknown optimizer 'adam2': choose one of adamw, sgd"),
        ({"warmup_steps": 100}, "warmup_steps 100 is not below num_steps 100"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        optim.make_optimizer(**SETTINGS | changes)


def test_rule_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match="kernal' matches no parameter: names look like"):
        _updates(0, decay_rule=".*/kernal")
    assert tree.leaf_names(PARAMS) == ["bn/scale", "conv/kernel"]
