"""The train step against arithmetic done by hand, and its invariance to devices."""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dfjax import logistic, losses, models, sharding, steps
from dfjax.metrics import calibration, ranking
from tests.models import small

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
    """Real and fake in turn, as `train_stream` deals them; fakes are 5 grey levels brighter.

    BatchNorm over one class alone would take that difference away.
    """
    rng = np.random.default_rng(seed)
    label = np.arange(size, dtype=np.int32) % 2
    image = rng.integers(100, 140, (size, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    image += np.uint8(5 * label)[:, None, None, None]
    return {"image": image, "label": label}


def _step(model, tx, *, ema_decay=0.0, grad_accum_steps=1):
    return functools.partial(
        steps.train_step,
        model=model,
        tx=tx,
        loss=losses.build("bce", label_smoothing=0.0),
        ema_decay=ema_decay,
        grad_accum_steps=grad_accum_steps,
    )


def _state(model, tx, *, ema=False):
    return steps.init(jax.random.key(0), model=model, tx=tx, image_size=IMAGE_SIZE, ema=ema)


@pytest.mark.parametrize("grad_accum_steps", [1, 4])
def test_sgd_step_is_the_hand_derivative(grad_accum_steps):
    model, tx, batch = MeanPixel(), optax.sgd(0.1), _batch(8)
    state, found = _step(model, tx, grad_accum_steps=grad_accum_steps)(
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


@pytest.mark.usefixtures("quick_compilation")
def test_accumulation_averages_the_gradients_of_whole_pairs():
    model, tx, key = small.build("dfcnn"), optax.sgd(0.1), jax.random.key(1)
    state, batch = _state(model, tx), _batch(8)
    found, _ = jax.jit(_step(model, tx, grad_accum_steps=2))(state, batch, key)

    step = jax.jit(_step(model, tx))
    first, second = (
        {k: v[rows] for k, v in batch.items()} for rows in ([0, 1, 4, 5], [2, 3, 6, 7])
    )
    one, _ = step(state, first, key)
    two, _ = step(state.replace(batch_stats=one.batch_stats), second, key)
    # The update of plain SGD is linear in the gradient; the statistics move once for each part.
    expected = jax.tree.map(lambda a, b: (a + b) / 2, one.params, two.params)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, found.params, expected)
    jax.tree.map(close, found.batch_stats, two.batch_stats)


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("grad_accum_steps", [2, 4])
def test_batch_norm_learns_under_accumulation_what_sets_the_classes_apart(grad_accum_steps):
    model, tx = small.build("dfcnn"), optax.sgd(0.05, momentum=0.9)
    state = _state(model, tx)
    step = jax.jit(_step(model, tx, grad_accum_steps=grad_accum_steps))
    for number in range(30):
        state, _ = step(state, _batch(16, seed=number), jax.random.key(1))
    unseen = _batch(64, seed=30)
    logit = steps.predict(state.eval_variables, unseen["image"], model=model, image_size=IMAGE_SIZE)
    score = logistic.to_score(logit)
    assert ranking.auc(unseen["label"], score) > 0.95
    # The sign alone may come out by chance.
    assert calibration.log_loss(unseen["label"], score) < 0.3


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


def _run(num_devices: int, grad_accum_steps: int = 1):
    """Three updates of a BatchNorm network over the first devices."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:num_devices]), ("data",))
    model = models.build("resnet18", width=8)
    tx = optax.sgd(0.05)
    everywhere = sharding.replicated(mesh)
    state = jax.device_put(_state(model, tx, ema=True), everywhere)
    step = jax.jit(
        _step(model, tx, ema_decay=0.9, grad_accum_steps=grad_accum_steps),
        donate_argnums=0,
        out_shardings=(everywhere, everywhere),
    )
    for number in range(3):
        batch = sharding.put_batch(_batch(16, seed=number), mesh)
        state, found = step(state, batch, jax.random.key(1))
    assert step._cache_size() == 1
    return jax.device_get((state, found.compute()))


@pytest.mark.parametrize("grad_accum_steps", [1, 2])
def test_four_devices_do_what_one_does(grad_accum_steps):
    (one, one_metrics), (four, four_metrics) = _run(1, grad_accum_steps), _run(4, grad_accum_steps)
    assert float(one_metrics["loss"]) == pytest.approx(float(four_metrics["loss"]), abs=1e-5)
    # The statistics agree only if BatchNorm saw the whole batch on every device.
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_microbatches_leave_every_row_on_its_device():
    def sums(batch):
        per_image = functools.partial(jnp.sum, axis=(1, 2, 3), dtype=jnp.float32)
        return jax.lax.map(per_image, steps.split_microbatches(batch, 2)["image"])

    batch, mesh = _batch(16), sharding.make_mesh()
    compiled = jax.jit(sums).lower(sharding.put_batch(batch, mesh)).compile()
    moves = r"(all-gather|all-to-all|collective-permute)\("
    assert not re.search(moves, compiled.as_text())
    found = compiled(sharding.put_batch(batch, mesh))
    pairs = batch["image"].sum((1, 2, 3)).reshape(8, 2)
    np.testing.assert_array_equal(found, [pairs[0::2].ravel(), pairs[1::2].ravel()])


def test_batch_statistics_are_those_of_the_global_batch():
    mesh = sharding.make_mesh()
    model = nn.BatchNorm(use_running_average=False, momentum=0.0)
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    variables = model.init(jax.random.key(0), x)
    apply = jax.jit(functools.partial(model.apply, mutable=["batch_stats"]))
    _, updated = apply(variables, sharding.put_batch({"x": x}, mesh)["x"])
    np.testing.assert_allclose(updated["batch_stats"]["mean"], x.mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "devices", "grad_accum_steps", "multiple"),
    [(104, 4, 2, 16), (12, 4, 1, 8), (0, 4, 1, 8), (9, 3, 1, 6), (7, 1, 1, 2), (6, 1, 2, 4)],
)
def test_batch_size_that_does_not_fit_is_named(size, devices, grad_accum_steps, multiple):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("data",))
    with pytest.raises(ValueError, match=f"batch_size {size} .* use a multiple of {multiple}$"):
        sharding.check_train_batch_size(size, mesh, grad_accum_steps)
    sharding.check_train_batch_size(3 * multiple, mesh, grad_accum_steps)


def test_evaluation_and_training_ask_for_what_each_needs():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:3]), ("data",))
    sharding.check_batch_size("eval.batch_size", 9, mesh)
    with pytest.raises(ValueError, match=r"eval.batch_size 8 .* 3 devices: use a multiple of 3"):
        sharding.check_batch_size("eval.batch_size", 8, mesh)
    with pytest.raises(ValueError, match=r"grad_accum_steps is 0: use 1 or more"):
        sharding.check_train_batch_size(12, mesh, 0)


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
