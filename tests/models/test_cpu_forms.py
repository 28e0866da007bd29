"""The forms for a CPU against the compiler's own convolutions and against Linen's layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dfjax import models
from dfjax.models import cpu_forms, layers, pooling, winograd
from tests.models import small

pytestmark = pytest.mark.usefixtures("quick_compilation")

NHWC = ("NHWC", "HWIO", "NHWC")
# Images [N, H, W, C]; output channels, kernel, stride, padding, groups.
CONVOLUTIONS = {
    "pointwise": ((2, 9, 8, 4), 6, 1, 1, 0, 1),
    "pointwise, padded and strided": ((2, 9, 8, 4), 6, 1, 2, 1, 1),
    "patches": ((2, 9, 14, 4), 6, 4, 4, 0, 1),
    "dense": ((2, 9, 8, 4), 6, 3, 2, 1, 1),
    "depthwise": ((2, 9, 8, 8), 8, 3, 1, 1, 8),
    "depthwise, 5x5, strided": ((2, 19, 8, 8), 8, 5, 2, 2, 8),
    "depthwise, same": ((2, 10, 7, 8), 8, 5, 2, "SAME", 8),
    "depthwise, windows that miss pixels": ((2, 9, 8, 8), 8, 3, 3, 0, 8),
    "depthwise, 7x7 over less": ((2, 4, 3, 8), 8, 7, 1, 3, 8),
    "grouped": ((2, 9, 8, 128), 64, 3, 1, 1, 32),
    "grouped, strided, few": ((2, 9, 8, 8), 16, 3, 2, 1, 4),
    "minimal filtering": ((4, 16, 15, 96), 104, 3, 1, 1, 1),
    "minimal filtering, same": ((6, 12, 12, 104), 96, 3, 1, "SAME", 1),
    "minimal filtering, no pads": ((6, 13, 12, 104), 96, 3, 1, 0, 1),
}


def _assert_same(expected, found, tolerance: float) -> None:
    """Largest difference in units of the largest value."""
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert a.shape == b.shape
        assert np.abs(np.asarray(a) - b).max() <= tolerance * np.abs(a).max()


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_and_its_gradients_are_those_of_the_compiler(case):
    shape, outputs, size, stride, padding, groups = CONVOLUTIONS[case]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, np.float32)
    w = rng.standard_normal((size, size, shape[3] // groups, outputs), np.float32)
    pads = padding if isinstance(padding, str) else ((padding, padding),) * 2
    settings = {
        "feature_group_count": groups,
        "lhs_dilation": (1, 1),
        "rhs_dilation": (1, 1),
        "dimension_numbers": lax.conv_dimension_numbers(x.shape, w.shape, NHWC),
    }
    results = []
    for convolve in (lax.conv_general_dilated, cpu_forms.conv_general_dilated):
        function = functools.partial(convolve, **settings)
        y, back = jax.vjp(lambda x, w, f=function: f(x, w, (stride, stride), pads), x, w)
        g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
        results.append((y, *back(g)))
    _assert_same(*results, tolerance=1e-5)
    assert winograd.pays(x, w, (stride, stride), ((0, 0), (0, 0))) == case.startswith("minimal")


@pytest.mark.parametrize(
    ("window", "strides", "pads"),
    [(3, 2, ((1, 1), (1, 1))), (2, 2, ((0, 0), (0, 0))), (4, 4, ((1, 2), (0, 1)))],
)
def test_max_pooling_gives_its_gradient_to_the_first_of_equals(window, strides, pads):
    rng = np.random.default_rng(0)
    x = np.maximum(rng.integers(-4, 4, (2, 9, 11, 3)), 0).astype(np.float32)  # most are equal
    results = []
    for form in layers.FORMS:
        pool = functools.partial(pooling.max_pool, window=window, strides=strides, padding=pads)
        y, back = jax.vjp(functools.partial(pool, form=form), x)
        results.append((y, *back(np.random.default_rng(1).standard_normal(y.shape, np.float32))))
    _assert_same(*results, tolerance=1e-6)


@pytest.mark.parametrize("height", [3, 8, 19])
def test_a_batch_norm_in_training_is_that_of_linen(height):
    rng = np.random.default_rng(0)
    x = 3 * rng.standard_normal((4, height, 5, 8), np.float32) + 1
    params = {"scale": jnp.arange(1.0, 9.0), "bias": jnp.arange(8.0)}
    results = []
    for form in layers.FORMS:
        make = layers.batch_norm(
            train=True, folded=False, form=form, epsilon=1e-3, dtype=jnp.float32, momentum=0.9
        )
        norm = make(name="bn")
        statistics = norm.init(jax.random.key(0), x)["batch_stats"]
        assert not statistics["mean"].any()  # initializing leaves them alone

        def apply(params, x, norm=norm, statistics=statistics):
            variables = {"params": params, "batch_stats": statistics}
            return norm.apply(variables, x, mutable=["batch_stats"])

        y, back, new = jax.vjp(apply, params, x, has_aux=True)
        results.append((y, new, back(jnp.asarray(x**2))))
    _assert_same(*results, tolerance=1e-5)


# One of each family, of which three have every form: plain, depthwise and grouped convolutions.
FAMILIES = ("efficientnet_b0", "resnet18", "resnext50")
OTHERS = (
    "convnext_tiny",
    "dfcnn",
    "dlib_resnet",
    "efficientnet_lite0",
    "mesoinception4",
    "vgg11_bn",
    "vit_s16",
    "xception",
)


@pytest.mark.parametrize(
    "name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)]
)
def test_gradients_of_a_network_are_those_of_its_plain_form(name):
    with jax.enable_x64(True):
        image = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
        label = jnp.arange(4) % 2
        gradients = []
        for form in layers.FORMS:
            model = small.build(name, form=form, dtype="float64")
            variables = jax.jit(model.init)(jax.random.key(0), image)
            variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)

            def loss(params, model=model, variables=variables):
                keys = {"dropout": jax.random.key(1)}
                variables = {**variables, "params": params}
                logit, _ = model.apply(
                    variables, image, train=True, mutable=["batch_stats"], rngs=keys
                )
                return jnp.where(label, -logit, logit.astype(jnp.float64) ** 2).sum()

            gradients.append(jax.jit(jax.grad(loss))(variables["params"]))
        # Biases before a norm have no gradient but rounding: in units of the largest of all.
        largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradients[0]))
        assert largest > 0
        for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-9 * largest)


def test_networks_are_plain_until_a_cpu_is_to_run_them():
    model = small.build("efficientnet_b0")
    image = jax.ShapeDtypeStruct((2, 32, 32, 3), np.uint8)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)

    def count(model) -> int:
        text = jax.jit(model.apply).lower(variables, image).as_text()
        return text.count("stablehlo.convolution")

    # Stem, last, and of every block depthwise and projection; the first does not expand.
    blocks = sum(model.stage_sizes)
    assert count(model) == 2 + 3 * blocks - model.stage_sizes[0]
    assert count(models.for_backend(model)) == 1  # the stem
