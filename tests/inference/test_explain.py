"""Heat maps against maps worked out by hand, an independent product, and a planted cue."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from dfjax import losses, models, steps
from dfjax.inference import explain
from dfjax.models import layers
from tests.models import small

pytestmark = pytest.mark.usefixtures("quick_compilation")


@functools.cache
def _resnet():
    """A model with a head that weighs some channels for and some against "fake"."""
    model = models.build("resnet18", width=8, zero_init_residual=False)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3), jnp.uint8))
    return model, {key: variables[key] for key in ("params", "batch_stats")}


def _images(batch: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)


def _grad_cam(model, variables, images, image_size: int = 64) -> np.ndarray:
    grad_cam = functools.partial(explain.grad_cam, model=model, image_size=image_size)
    return np.asarray(jax.jit(grad_cam)(variables, images))


def _features(model, variables, images) -> np.ndarray:
    apply = jax.jit(functools.partial(model.apply, mutable=["intermediates"]))
    _, state = apply(variables, images)
    return np.asarray(state["intermediates"]["features"][0], np.float64)


def test_grad_cam_is_the_class_activation_map_of_pooling_and_a_linear_head():
    model, variables = _resnet()
    images = _images(3)
    features = _features(model, variables, images)
    head = variables["params"]["head"]["logit"]
    weights, bias = (np.asarray(head[name], np.float64) for name in ("kernel", "bias"))
    # These are the features that the logit is made of.
    np.testing.assert_allclose(
        features.mean((1, 2)) @ weights[:, 0] + bias,
        jax.jit(model.apply)(variables, images),
        atol=1e-5,
    )
    evidence = np.maximum(features @ weights[:, 0], 0)
    expected = evidence / evidence.max((1, 2), keepdims=True)
    maps = _grad_cam(model, variables, images)
    assert maps.shape == (3, 2, 2)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    # One face does not colour another.
    alone = _grad_cam(model, variables, images[1:2])
    np.testing.assert_allclose(maps[1:2], alone, atol=1e-5)


def test_map_is_empty_where_nothing_speaks_for_fake():
    model, variables = _resnet()
    head = {"logit": {"kernel": -jnp.ones((64, 1)), "bias": jnp.zeros(1)}}
    against = {**variables, "params": {**variables["params"], "head": head}}
    maps = _grad_cam(model, against, _images(2))
    np.testing.assert_array_equal(maps, np.zeros((2, 2, 2)))


@pytest.mark.parametrize("name", small.structures())
def test_every_structure_has_heat_maps(name):
    model = small.build(name)
    crops = jax.ShapeDtypeStruct((2, 40, 40, 3), np.uint8)
    image = jax.ShapeDtypeStruct((2, small.SIZE, small.SIZE, 3), np.uint8)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    variables = {key: variables[key] for key in ("params", "batch_stats") if key in variables}
    heat_map = functools.partial(explain.heat_map, model=model, image_size=small.SIZE)
    maps = jax.eval_shape(heat_map, variables, crops)
    assert (maps.shape[0], maps.dtype) == (2, jnp.float32)
    assert len(maps.shape) == 3


class _Attention(nn.Module):
    """Sows these attention weights, [heads, T, T]."""

    weights: tuple

    @nn.compact
    def __call__(self, batch: int):
        weights = jnp.array(self.weights)
        self.sow("intermediates", "attention", jnp.broadcast_to(weights, (batch, *weights.shape)))


class _Block(nn.Module):
    weights: tuple

    @nn.compact
    def __call__(self, batch: int):
        _Attention(self.weights, name="attention")(batch)


class _Scripted(nn.Module):
    """Two patches in a row next to a class token, and blocks with scripted attention."""

    blocks: tuple

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        batch = image.shape[0]
        for number, weights in enumerate(self.blocks, 1):
            _Block(weights, name=f"block{number}")(batch)
        self.sow("intermediates", "pooling", jnp.broadcast_to(jnp.eye(1, 3), (batch, 3)))
        layers.expose_features(self, jnp.zeros((batch, 1, 2, 4)))
        return jnp.zeros(batch)


def test_rollout_by_hand():
    # The class token looks at the first patch, then at both; the patches at themselves. The two
    # heads of the first block mean (1/2, 1/2, 0).
    stay = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    first = (((1.0, 0.0, 0.0), *stay), ((0.0, 1.0, 0.0), *stay))
    second = (((0.0, 0.5, 0.5), *stay),)
    model = _Scripted(blocks=(first, second))
    # Half itself: rows (3/4, 1/4, 0), then (1/2, 1/4, 1/4). The class token in the end is
    # 1/2 (3/4, 1/4, 0) + 1/4 (0, 1, 0) + 1/4 (0, 0, 1) = (3/8, 3/8, 1/4).
    maps = explain.heat_map({}, _images(2, 32), model=model, image_size=32)
    np.testing.assert_allclose(maps, [[[1, 2 / 3]]] * 2, atol=1e-6)


def _transformer(**settings):
    """A narrow transformer whose every weight does much."""
    model = small.build("vit_s16", width=8, mlp_width=8, **settings)
    shapes = jax.eval_shape(model.init, jax.random.key(0), _images(1))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes["params"])
    return model, {"params": params}


# From ten blocks on, their order by number is not that by name.
@pytest.mark.parametrize(("pool", "depth"), [("token", 11), ("mean", 2), ("attention", 2)])
def test_rollout_is_the_product_over_the_blocks(pool, depth):
    model, variables = _transformer(pool=pool, depth=depth)
    images = _images(3)

    @jax.jit
    def both(variables):
        _, state = model.apply(variables, images, mutable=["intermediates"])
        maps = explain.heat_map(variables, images, model=model, image_size=64)
        return maps, state["intermediates"]

    maps, intermediates = both(variables)
    assert maps.shape == (3, 4, 4)
    for row in range(3):
        product = np.eye(17)
        for number in range(1, depth + 1):
            heads = np.asarray(intermediates[f"block{number}"]["attention"]["attention"][0][row])
            mixed = heads.mean(0) + np.eye(17)
            product = mixed / mixed.sum(1, keepdims=True) @ product
        share = {
            "token": np.eye(17)[0],
            "mean": np.append(0, np.full(16, 1 / 16)),
            "attention": intermediates["pooling"][0][row],
        }
        seen = (share[pool] @ product)[1:]
        np.testing.assert_allclose(maps[row], (seen / seen.max()).reshape(4, 4), atol=1e-5)
        assert seen.min() < 0.9 * seen.max()  # it tells the patches apart


def test_rollout_is_exported_for_any_number_of_crops():
    model, variables = _transformer()
    bound = functools.partial(explain.heat_map, variables, model=model, image_size=32)
    shape = jax.export.symbolic_shape("b, 40, 40, 3")
    exported = jax.export.export(jax.jit(bound))(jax.ShapeDtypeStruct(shape, np.uint8))
    call = jax.jit(jax.export.deserialize(exported.serialize()).call)
    crops = _images(3, 40)
    expected = jax.jit(bound)(crops)
    np.testing.assert_allclose(call(crops), expected, atol=1e-5)
    np.testing.assert_allclose(call(crops[:1]), expected[:1], atol=1e-5)


class _Bare(nn.Module):
    """Two convolutions, pooling and a head; `marked` shows the maps, 8x8 of 32 px."""

    marked: bool = True

    @nn.compact
    def __call__(self, image, *, train: bool = False):
        x = layers.normalize(image, (0.5,) * 3, (0.25,) * 3, jnp.float32)
        for number in (1, 2):
            x = nn.relu(layers.conv(16, 3, 2, form="plain", use_bias=True, name=f"conv{number}")(x))
        x = layers.expose_features(self, x) if self.marked else x
        return layers.BinaryHead(name="head")(x.mean((1, 2)), train=train)


def _planted(rng: np.random.Generator, batch: int):
    """Noise, in every other picture with a bright patch of 8 px; (images, labels, corners)."""
    images = rng.integers(0, 128, (batch, 32, 32, 3), np.uint8)
    corners = rng.integers(0, 25, (batch, 2))
    labels = np.arange(batch) % 2
    for image, (row, column) in zip(images[1::2], corners[1::2], strict=True):
        image[row : row + 8, column : column + 8] += 128
    return images, labels.astype(np.float32), corners


def test_a_planted_cue_is_where_the_map_lights_up():
    model, rng = _Bare(), np.random.default_rng(0)
    tx = optax.adam(1e-2)
    state = steps.init(jax.random.key(0), model=model, tx=tx, image_size=32, ema=False)
    loss = losses.build("bce", label_smoothing=0.0)
    step = functools.partial(
        steps.train_step, model=model, tx=tx, loss=loss, ema_decay=0.0, grad_accum_steps=1
    )
    step = jax.jit(step)
    for _ in range(60):
        images, labels, _ = _planted(rng, 32)
        state, _ = step(state, {"image": images, "label": labels}, jax.random.key(1))
    images, labels, corners = _planted(rng, 64)
    variables = {"params": state.params}
    logits = steps.predict(variables, images, model=model, image_size=32)
    assert ((logits > 0) == (labels > 0)).all()
    heat = _grad_cam(model, variables, images[1::2], 32)
    for cells, corner in zip(heat, corners[1::2], strict=True):
        brightest = (np.array(np.unravel_index(cells.argmax(), cells.shape)) + 0.5) * 4
        # Within the patch, or a cell that its border reaches into.
        assert (np.abs(brightest - (corner + 4)) <= 4 + 4).all()


def test_a_model_that_marks_no_features_is_refused():
    model = _Bare(marked=False)
    variables = model.init(jax.random.key(0), _images(1, 32))
    with pytest.raises(ValueError, match="_Bare marks no features: it has no heat map"):
        explain.heat_map(variables, _images(1, 32), model=model, image_size=32)
