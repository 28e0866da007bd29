"""A folded network computes the same function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax.models import fold, layers
from tests.models import small

pytestmark = pytest.mark.usefixtures("quick_compilation")

WITH_NORMS = [
    name
    for name, model in ((name, small.build(name)) for name in small.structures())
    if hasattr(model, "folded") and getattr(model, "batch_norm", True)
]
RANGES = {"scale": (0.3, 0.9), "bias": (-0.2, 0.2), "mean": (-0.3, 0.3), "var": (0.5, 2.0)}


def _trained(name: str):
    """A small model and variables whose norms all do something: move, scale and shift."""
    model = small.build(name)
    shape = (2, small.SIZE, small.SIZE, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        fan_in = np.prod(leaf.shape[:-1])
        low, high = RANGES.get(path[-1].key, np.sqrt(3 / fan_in) * np.array([-1, 1]))
        return rng.uniform(low, high, leaf.shape).astype(leaf.dtype)

    shapes = {key: shapes[key] for key in ("params", "batch_stats") if key in shapes}
    return model, jax.tree_util.tree_map_with_path(draw, shapes), image


@pytest.mark.parametrize("name", WITH_NORMS)
def test_folded_model_gives_the_same_logits(name):
    model, variables, image = _trained(name)
    folded, constants = fold.fold(model, variables)
    both = jax.jit(lambda v, c: (model.apply(v, image), folded.apply(c, image)))
    expected, found = both(variables, constants)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # Negative control: with other statistics the logits differ.
    reset = {**variables, "batch_stats": jax.tree.map(np.ones_like, variables["batch_stats"])}
    other, _ = both(reset, constants)
    assert np.abs(other - expected).max() > 1e-3


@pytest.mark.parametrize("name", WITH_NORMS)
def test_folded_model_has_no_norm_left_and_every_constant_has_its_place(name):
    model, variables, image = _trained(name)
    folded, constants = fold.fold(model, variables)
    assert model != folded
    needed = jax.eval_shape(folded.init, jax.random.key(0), image)
    assert set(constants) == {"params"}
    assert jax.tree.map(jnp.shape, constants["params"]) == jax.tree.map(jnp.shape, needed["params"])


def test_a_norm_without_a_convolution_of_its_name_is_refused():
    model, variables, _ = _trained("resnet18")
    params = dict(variables["params"])
    params["conv_first"] = params.pop("conv_stem")
    with pytest.raises(ValueError, match="norm bn_stem has no convolution conv_stem next to it"):
        fold.fold(model, {**variables, "params": params})


def test_a_model_without_norms_stays_as_it_is():
    head = layers.BinaryHead()
    variables = head.init(jax.random.key(0), jnp.ones((2, 4)), train=False)
    assert fold.fold(head, variables) == (head, {"params": variables["params"]})
