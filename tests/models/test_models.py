"""What every registered model must do; a new family is covered by being registered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax import losses, models, registry, tree

SIZE = 32
# torchvision's published counts without their 1000-class layer, plus our one-logit layer.
PARAMETERS = {
    "resnet18": 11_689_512 - 513_000 + 513,
    "resnet34": 21_797_672 - 513_000 + 513,
    "resnet50": 25_557_032 - 2_049_000 + 2_049,
    "resnet101": 44_549_160 - 2_049_000 + 2_049,
    "resnet152": 60_192_808 - 2_049_000 + 2_049,
}


# Blocks of resnet50, repeated: what is slow to compile is tested there.
DEEPER = {"resnet101", "resnet152"}


def _narrow(name: str, **kwargs):
    """The model with few channels: the structure is what these tests look at."""
    return models.build(name, width=8, **kwargs)


def _images(batch: int = 4) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, (batch, SIZE, SIZE, 3), np.uint8))


@pytest.fixture(scope="module", autouse=True)
def _compile_quickly():
    """Every network runs a few times only: its compilation is what costs."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module", params=registry.names("model"))
def built(request):
    model = _narrow(request.param)
    return request.param, model, jax.jit(model.init)(jax.random.key(0), _images(1))


@pytest.mark.parametrize("name", registry.names("model"))
def test_parameter_count_is_the_published_one(name):
    shapes = jax.eval_shape(models.build(name).init, jax.random.key(0), _images(1))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == PARAMETERS[name]


def test_one_finite_logit_per_image_and_the_same_every_time(built):
    _, model, variables = built
    apply = jax.jit(model.apply)
    logit = apply(variables, _images())
    assert logit.shape == (4,)
    assert logit.dtype == jnp.float32
    assert jnp.isfinite(logit).all()
    np.testing.assert_array_equal(logit, apply(variables, _images()))


def test_uint8_and_unit_float_images_mean_the_same(built):
    _, model, variables = built
    apply = jax.jit(model.apply)
    as_float = _images().astype(jnp.float32) / 255
    np.testing.assert_allclose(
        apply(variables, _images()), apply(variables, as_float), rtol=1e-5, atol=1e-5
    )


def test_gradients_reach_every_parameter(built):
    # Zero-initialised residual branches would hide their inner layers at the first step.
    name, _, _ = built
    if name in DEEPER:
        return
    model = _narrow(name, zero_init_residual=False)
    variables = jax.jit(model.init)(jax.random.key(0), _images(1))
    loss = losses.build("bce", label_smoothing=0.0)

    def objective(params):
        logit, _ = model.apply(
            {**variables, "params": params}, _images(), train=True, mutable=["batch_stats"]
        )
        return loss(logit, jnp.array([0.0, 1.0, 0.0, 1.0])).mean()

    grads = jax.jit(jax.grad(objective))(variables["params"])
    names = tree.leaf_names(grads)
    dead = [n for n, g in zip(names, jax.tree.leaves(grads), strict=True) if not jnp.any(g)]
    assert not dead


def test_bfloat16_computes_in_half_and_answers_in_full_precision(built):
    name, model, variables = built
    if name in DEEPER:
        return
    half = _narrow(name, dtype="bfloat16")
    text = str(jax.make_jaxpr(half.apply)(variables, _images()))
    assert "bf16" in text
    logit = jax.jit(half.apply)(variables, _images())
    assert logit.dtype == jnp.float32
    np.testing.assert_allclose(logit, jax.jit(model.apply)(variables, _images()), atol=0.1)


def test_zero_init_residual_starts_blocks_as_identity():
    variables = jax.jit(_narrow("resnet18").init)(jax.random.key(0), _images(1))
    block = variables["params"]["stage1_block1"]
    assert not block["bn2"]["scale"].any()
    assert block["bn1"]["scale"].all()


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown model 'resnet19': choose one of .*resnet18"):
        models.build("resnet19")
