"""Losses against values computed by hand and against published formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import losses

# Logits of P(fake) = 3/4, 1/4 and 1/2.
LOGITS = jnp.array([math.log(3), -math.log(3), 0.0])


def test_bce_is_the_negative_logarithm_of_the_probability_of_the_true_class():
    loss = losses.build("bce")
    np.testing.assert_allclose(loss(LOGITS, jnp.ones(3)), -np.log([3 / 4, 1 / 4, 1 / 2]), rtol=1e-6)
    np.testing.assert_allclose(
        loss(LOGITS, jnp.zeros(3)), -np.log([1 / 4, 3 / 4, 1 / 2]), rtol=1e-6
    )


def test_focal_is_the_cross_entropy_times_the_squared_probability_of_the_wrong_class():
    loss = losses.build("focal")
    expected = [math.log(4 / 3) / 16, math.log(4) * 9 / 16, math.log(2) / 4]
    np.testing.assert_allclose(loss(LOGITS, jnp.ones(3)), expected, rtol=1e-6)
    np.testing.assert_allclose(loss(-LOGITS, jnp.zeros(3)), expected, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_follows_the_formula_of_torchvision(smoothing, gamma):
    rng = np.random.default_rng(0)
    logit, label = rng.normal(0, 4, 64), rng.integers(0, 2, 64)
    # torchvision.ops.sigmoid_focal_loss with alpha=-1, in float64.
    target = np.where(label == 1, 1 - smoothing / 2, smoothing / 2)
    p = 1 / (1 + np.exp(-logit))
    cross_entropy = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    p_t = p * target + (1 - p) * (1 - target)
    expected = cross_entropy * (1 - p_t) ** gamma
    loss = losses.build("focal", label_smoothing=smoothing, gamma=gamma)
    found = loss(jnp.asarray(logit, jnp.float32), jnp.asarray(label, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_smoothing_sets_both_targets(name):
    loss = losses.build(name, label_smoothing=0.2)
    soft = losses.build(name)(LOGITS, jnp.array([0.9, 0.1, 0.9]))
    np.testing.assert_allclose(loss(LOGITS, jnp.array([1.0, 0.0, 1.0])), soft, rtol=1e-6)


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_gradients_are_finite_where_the_sigmoid_saturates(name):
    loss = losses.build(name)
    logit = jnp.array([-200.0, 200.0, -200.0, 200.0])
    label = jnp.array([0.0, 0.0, 1.0, 1.0])
    slope = jax.grad(lambda x: loss(x, label).sum())(logit)
    np.testing.assert_allclose(slope, [0, 1, -1, 0], atol=1e-6)


def test_an_unknown_loss_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown loss 'hinge': choose one of bce, focal"):
        losses.build("hinge")
