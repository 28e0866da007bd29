"""The train step against arithmetic done by hand, and its invariance to devices."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dfjax import losses, models, sharding, steps

IMAGE_SIZE = 32


class MeanPixel(nn.Module):
    """logit = w * mean(image / 255) + b: small enough to differentiate by hand."""

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        x = jnp.mean(image.astype(jnp.float32) / 255, axis=(1, 2, 3))
        w = self.param("w", nn.initializers.constant(0.5), ())
        b = self.param("b", nn.initializers.zeros, ())
        return w * x + b


def _batch(size: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (size, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    return {"image": image, "label": np.arange(size, dtype=np.int32) % 2}


def _step(model, tx, *, ema_decay=0.0, accumulation=1):
    return functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=losses.build("bce", label_smoothing=0.0),
        ema_decay=ema_decay,
        accumulation=accumulation,
    )


def _state(model, tx, *, ema=False):
    return steps.init(jax.random.key(0), model=model, tx=tx, image_size=IMAGE_SIZE, ema=ema)


@pytest.mark.parametrize("accumulation", [1, 4])
def test_sgd_step_is_the_hand_derivative(accumulation):
    model, tx, batch = MeanPixel(), optax.sgd(0.1), _batch(8)
    state, found = _step(model, tx, accumulation=accumulation)(
        _state(model, tx), batch, jax.random.key(1)
    )
    x = batch["image"].astype(np.float64).mean((1, 2, 3)) / 255
    residual = 1 / (1 + np.exp(-0.5 * x)) - batch["label"]  # d loss / d logit
    np.testing.assert_allclose(state.params["w"], 0.5 - 0.1 * (residual * x).mean(), rtol=1e-6)
    np.testing.assert_allclose(state.params["b"], -0.1 * residual.mean(), rtol=1e-5)
    assert int(state.step) == 1
    expected = np.log1p(np.exp(0.5 * x)) - batch["label"] * 0.5 * x
    assert float(found.compute()["loss"]) == pytest.approx(expected.mean(), rel=1e-6)
    assert float(found.compute()["accuracy"]) == 0.5  # every logit is positive, half are fake


def test_average_follows_parameters_with_a_short_early_horizon():
    model, tx = MeanPixel(), optax.sgd(0.1)
    state = _state(model, tx, ema=True)
    step = _step(model, tx, ema_decay=0.5)
    ema = float(state.params["w"])
    for number in range(12):
        state, _ = step(state, _batch(4, seed=number), jax.random.key(1))
        decay = min(0.5, (1 + number) / (10 + number))
        ema = decay * ema + (1 - decay) * float(state.params["w"])
    assert float(state.ema["params"]["w"]) == pytest.approx(ema, rel=1e-6)
    assert state.eval_variables is state.ema


def test_label_smoothing_moves_the_minimum():
    loss = losses.build("bce", label_smoothing=0.2)
    optimum = np.log(0.9 / 0.1)  # P(fake) = 1 - 0.2 / 2
    value, slope = jax.value_and_grad(lambda z: loss(z, jnp.float32(1.0)))(jnp.float32(optimum))
    assert float(slope) == pytest.approx(0.0, abs=1e-6)
    assert float(value) == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), rel=1e-6)


def _run(num_devices: int, accumulation: int = 1):
    """Three updates of a BatchNorm network over the first devices."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:num_devices]), ("data",))
    model = models.build("resnet18", width=8)
    tx = optax.sgd(0.05)
    everywhere = sharding.replicated(mesh)
    state = jax.device_put(_state(model, tx, ema=True), everywhere)
    step = jax.jit(
        _step(model, tx, ema_decay=0.9, accumulation=accumulation),
        donate_argnums=0,
        out_shardings=(everywhere, everywhere),
    )
    for number in range(3):
        batch = sharding.put_batch(_batch(16, seed=number), mesh)
        state, found = step(state, batch, jax.random.key(1))
    assert step._cache_size() == 1
    return jax.device_get((state, found.compute()))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_four_devices_do_what_one_does(accumulation):
    (one, one_metrics), (four, four_metrics) = _run(1, accumulation), _run(4, accumulation)
    assert float(one_metrics["loss"]) == pytest.approx(float(four_metrics["loss"]), abs=1e-5)
    # The statistics agree only if BatchNorm saw the whole batch on every device.
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_batch_statistics_are_those_of_the_global_batch():
    mesh = sharding.make_mesh()
    model = nn.BatchNorm(use_running_average=False, momentum=0.0)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    variables = model.init(jax.random.key(0), x)
    apply = jax.jit(functools.partial(model.apply, mutable=["batch_stats"]))
    _, updated = apply(variables, sharding.put_batch({"x": x}, mesh)["x"])
    np.testing.assert_allclose(updated["batch_stats"]["mean"], x.mean(0), atol=1e-6)


@pytest.mark.parametrize(("size", "accumulation", "multiple"), [(100, 2, 8), (6, 1, 4), (0, 1, 4)])
def test_batch_size_that_does_not_fit_is_named(size, accumulation, multiple):
    with pytest.raises(ValueError, match=f"batch_size {size} .* use a multiple of {multiple}"):
        sharding.check_batch_size("batch_size", size, sharding.make_mesh(), accumulation)


@pytest.mark.usefixtures("quick_compilation")
def test_embedding_is_what_the_head_judges_by():
    model = models.build("resnet18", stage_sizes=(1,), width=8)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    image = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    settings = {"model": model, "image_size": 32}
    embedding = steps.embed(variables, image, **settings)
    assert embedding.shape == (3, 8)
    assert embedding.dtype == jnp.float32
    logit = variables["params"]["head"]["logit"]
    np.testing.assert_allclose(
        embedding @ logit["kernel"][:, 0] + logit["bias"],
        steps.predict(variables, image, **settings),
        rtol=1e-5,
    )
