"""Optimizer chains against values computed by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dfjax import checkpoint, losses, models, optim, steps, tree

SETTINGS = {
    "name": "sgd",
    "lr": 0.1,
    "num_steps": 100,
    "warmup_steps": 10,
    "momentum": 0.0,
    "weight_decay": 0.5,
    "weight_decay_rule": ".*/kernel",
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


# By hand, with 4 updates of warm-up: fifths of 0.1; then 0.1 * (1 + cos(pi * k / 6)) / 2 for k = 0
# to 5; without a warm-up the cosine has 10 parts.
COSINE_OF_6 = [0.1, 0.0933013, 0.075, 0.05, 0.025, 0.0066987]
COSINE_OF_10 = [0.1, 0.0975528, 0.0904508, 0.0793893, 0.0654508]
COSINE_OF_10 += [0.05, 0.0345492, 0.0206107, 0.0095492, 0.0024472]
APPLIED = {4: [0.02, 0.04, 0.06, 0.08, *COSINE_OF_6], 0: COSINE_OF_10}


@pytest.mark.parametrize("warmup_steps", [4, 0])
def test_every_update_has_the_learning_rate_of_its_step(warmup_steps):
    settings = SETTINGS | {"num_steps": 10, "warmup_steps": warmup_steps, "weight_decay": 0.0}
    tx, schedule = optim.make_optimizer(**settings)
    state, applied = tx.init(PARAMS), []
    for _ in range(10):
        updates, state = tx.update(GRADS, state, PARAMS)
        applied.append(float(-updates["bn"]["scale"][0] / GRADS["bn"]["scale"][0]))
    assert applied == pytest.approx(APPLIED[warmup_steps], rel=1e-5)
    assert [float(schedule(step)) for step in range(10)] == pytest.approx(applied)
    assert float(schedule(10)) == 0.0  # which no update has


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
        ({"lr_rules": (("conv/.*", -1.0),)}, r"factor -1.0 of 'conv/\.\*': use 0 or more"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        optim.make_optimizer(**SETTINGS | changes)


def test_rule_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match="kernal' matches no parameter: names look like"):
        _updates(0, weight_decay_rule=".*/kernal")
    assert tree.leaf_names(PARAMS) == ["bn/scale", "conv/kernel"]


def test_rules_scale_the_learning_rate_and_the_first_match_counts():
    updates = _updates(10, lr_rules=(("conv/.*", 0.5), (".*/(kernel|scale)", 2.0)))
    np.testing.assert_allclose(updates["conv"]["kernel"], 0.5 * -0.1 * (3 + 0.5 * 2), rtol=1e-6)
    np.testing.assert_allclose(updates["bn"]["scale"], 2.0 * -0.1 * 4, rtol=1e-6)
    updates = _updates(10, lr_rules=(("bn/.*", 0.25),))  # without a match the factor is 1
    np.testing.assert_allclose(updates["conv"]["kernel"], -0.1 * (3 + 0.5 * 2), rtol=1e-6)


@pytest.mark.parametrize("name", optim.NAMES)
def test_frozen_parameters_do_not_move_decay_or_count_in_the_norm(name):
    changes = {"name": name, "lr_rules": (("conv/.*", 0.0),), "clip_norm": 1.0}
    updates = _updates(10, **changes, weight_decay_rule=".*")
    np.testing.assert_array_equal(updates["conv"]["kernel"], 0)
    alone, _ = optim.make_optimizer(
        **SETTINGS | changes | {"lr_rules": (), "weight_decay_rule": ".*"}
    )
    state = alone.init({"bn": PARAMS["bn"]})
    for _ in range(11):
        expected, state = alone.update({"bn": GRADS["bn"]}, state, {"bn": PARAMS["bn"]})
    np.testing.assert_allclose(updates["bn"]["scale"], expected["bn"]["scale"], rtol=1e-6)


def test_frozen_parameters_have_no_moments():
    tx, _ = optim.make_optimizer(
        **SETTINGS | {"name": "adamw", "lr_rules": (("conv/.*", 0.0), ("bn/.*", 0.1))}
    )
    names = tree.leaf_names(tx.init({"conv": {"kernel": jnp.ones((5, 5))}, "bn": PARAMS["bn"]}))
    assert sum("bn/scale" in name for name in names) == 2  # mean and variance
    assert not any("conv" in name for name in names)


def test_without_rules_the_state_is_that_of_the_plain_chain():
    settings = SETTINGS | {"clip_norm": 1.0}
    tx, schedule = optim.make_optimizer(**settings, lr_rules=())
    plain = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.trace(decay=0.0, nesterov=True),
        optax.add_decayed_weights(0.5, mask={"conv": {"kernel": True}, "bn": {"scale": False}}),
        optax.scale_by_learning_rate(schedule),
    )
    assert jax.tree.structure(tx.init(PARAMS)) == jax.tree.structure(plain.init(PARAMS))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((("covn/.*", 0.1),), r"'covn/\.\*' is not the first match of any parameter: .*bn/scale"),
        (((".*", 0.1), ("bn/.*", 0.0)), r"'bn/\.\*' is not the first match of any parameter"),
        (((".*", 0.0),), "freeze every parameter"),
    ],
)
def test_rules_that_do_nothing_are_named(rules, message):
    with pytest.raises(ValueError, match=message):
        _updates(0, lr_rules=rules)


@pytest.mark.usefixtures("quick_compilation")
def test_training_the_head_alone_leaves_the_rest_and_survives_a_checkpoint(tmp_path):
    model = models.build("resnet18", stage_sizes=(1,), width=4)
    tx, _ = optim.make_optimizer(
        **SETTINGS
        | {"name": "adamw", "warmup_steps": 1, "lr_rules": (("head/.*", 1.0), (".*", 0.0))}
    )
    state = steps.init(jax.random.key(0), model=model, tx=tx, image_size=32, ema=True)
    start = jax.device_get(state)
    step = jax.jit(
        functools.partial(
            steps.train_step,
            model=model,
            tx=tx,
            loss=losses.build("bce", label_smoothing=0.0),
            ema_decay=0.9,
            grad_accum_steps=1,
        )
    )
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (8, 32, 32, 3), np.uint8),
        "label": np.arange(8, dtype=np.int32) % 2,
    }
    checkpoints = checkpoint.Checkpoints(tmp_path, select_by="val/auc")
    for number in range(1, 4):
        state, _ = step(state, batch, jax.random.key(1))
        if number == 2:
            checkpoints.save(2, state, {})
    checkpoints.close()

    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), start.params, state.params)
    names = tree.leaf_names(moved)
    assert {n for n, m in zip(names, jax.tree.leaves(moved), strict=True) if m} == {
        "head/logit/kernel",
        "head/logit/bias",
    }
    moved = jax.tree.map(
        lambda a, b: not np.array_equal(a, b), start.batch_stats, state.batch_stats
    )
    assert all(jax.tree.leaves(moved))

    reopened = checkpoint.Checkpoints(tmp_path, select_by="val/auc")
    resumed, _ = step(
        reopened.restore(2, jax.tree.map(jnp.zeros_like, state)), batch, jax.random.key(1)
    )
    reopened.close()
    assert jax.tree.structure(resumed) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, resumed, state)
