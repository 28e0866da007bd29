"""What every registered model must do; a new family is covered by being registered."""

import functools
import pathlib
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from dfjax import losses, models, registry, steps, tree
from dfjax.models import layers
from tests.models import small

pytestmark = pytest.mark.usefixtures("quick_compilation")

# Parameters and classes as torchvision, timm and MesoNet's authors publish them.
PUBLISHED = {
    "clip_vit_b16": (86_568_424, 1000),
    "clip_vit_l14": (304_204_776, 1000),
    "convnext_base": (88_591_464, 1000),
    "convnext_small": (50_223_688, 1000),
    "convnext_tiny": (28_589_128, 1000),
    "dinov2_vit_b14": (86_579_712, 0),
    "dinov2_vit_l14": (304_367_616, 0),
    "dinov2_vit_s14": (22_056_192, 0),
    "efficientnet_b0": (5_288_548, 1000),
    "efficientnet_b1": (7_794_184, 1000),
    "efficientnet_b2": (9_109_994, 1000),
    "efficientnet_b3": (12_233_232, 1000),
    "efficientnet_b4": (19_341_616, 1000),
    "efficientnet_b5": (30_389_784, 1000),
    "efficientnet_b6": (43_040_704, 1000),
    "efficientnet_b7": (66_347_960, 1000),
    "efficientnet_lite0": (4_652_008, 1000),
    "efficientnet_lite1": (5_416_680, 1000),
    "efficientnet_lite2": (6_092_072, 1000),
    "meso4": (27_977, 1),
    "mesoinception4": (28_615, 1),
    "resnet101": (44_549_160, 1000),
    "resnet152": (60_192_808, 1000),
    "resnet18": (11_689_512, 1000),
    "resnet34": (21_797_672, 1000),
    "resnet50": (25_557_032, 1000),
    "resnext101": (88_791_336, 1000),
    "resnext50": (25_028_904, 1000),
    "vgg11": (132_863_336, 1000),
    "vgg11_bn": (132_868_840, 1000),
    "vgg13": (133_047_848, 1000),
    "vgg13_bn": (133_053_736, 1000),
    "vgg16": (138_357_544, 1000),
    "vgg16_bn": (138_365_992, 1000),
    "vgg19": (143_667_240, 1000),
    "vgg19_bn": (143_678_248, 1000),
    "vit_b16": (86_567_656, 1000),
    "vit_l16": (304_326_632, 1000),
    "vit_s16": (22_050_664, 1000),
    "xception": (22_855_952, 1000),
}
LABELS = jnp.array([0, 1, 0, 1, 0, 1, 0, 1], jnp.float32)


def _images(batch: int = 8) -> jax.Array:
    shape = (batch, small.SIZE, small.SIZE, 3)
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


@functools.cache
def _variables(name: str) -> dict:
    # A branch that starts at zero would hide its inner layers from the first gradients.
    model = _model(name)
    variables = jax.jit(model.init)(jax.random.key(0), _images(1))
    return {key: variables.get(key, {}) for key in ("params", "batch_stats")}


def _model(name: str, **settings) -> nn.Module:
    model = small.build(name, **settings)
    awake = {"zero_init_residual": False, "layer_scale": 0.5}
    return model.clone(**{k: v for k, v in awake.items() if getattr(model, k, None) is not None})


@pytest.mark.parametrize("name", registry.names("model"))
def test_every_parameter_is_used_and_their_number_is_the_published_one(name):
    model = models.build(name)
    side = max(model.native_size // 4 // 14 * 14, 112)  # legal for patches of 14 and of 16
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    variables = {key: shapes[key] for key in ("params", "batch_stats") if key in shapes}
    jaxpr = jax.make_jaxpr(model.apply)(variables, image)
    _, used = jax.interpreters.partial_eval.dce_jaxpr(jaxpr.jaxpr, [True])
    unused = [n for n, u in zip(tree.leaf_names(variables), used[:-1], strict=True) if not u]
    assert unused == []
    if name in PUBLISHED:
        published, classes = PUBLISHED[name]
        width = shapes["params"]["head"]["logit"]["kernel"].shape[0]
        count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
        assert count == published - classes * (width + 1) + (width + 1)


def _separable_images() -> jax.Array:
    """Noise whose upper half is brighter in fakes."""
    images = np.random.default_rng(0).integers(0, 128, (8, small.SIZE, small.SIZE, 3))
    images[1::2, : small.SIZE // 2] += 127
    return jnp.asarray(images, jnp.uint8)


@functools.cache
def _train(name: str) -> tuple[steps.TrainState, list[float]]:
    """(the state after 24 updates on separable images, the loss before each of them)."""
    variables, tx = _variables(name), optax.adam(3e-3)
    state = steps.TrainState(
        step=jnp.zeros((), jnp.int32), opt_state=tx.init(variables["params"]), ema=None, **variables
    )
    step = jax.jit(
        functools.partial(
            steps.train_step,
            model=_model(name),
            tx=tx,
            loss=losses.build("bce", label_smoothing=0.0),
            ema_decay=0.0,
            grad_accum_steps=1,
        )
    )
    batch, loss = {"image": _separable_images(), "label": LABELS}, []
    for _ in range(24):
        state, metrics = step(state, batch, jax.random.key(1))
        loss.append(float(metrics.compute()["loss"]))
    return state, loss


@pytest.mark.parametrize("name", small.structures())
def test_one_logit_per_image_the_same_every_time(name):
    apply = jax.jit(functools.partial(_model(name).apply, _variables(name)))
    logit = apply(_images())
    assert logit.shape == (8,)
    assert logit.dtype == jnp.float32
    assert jnp.isfinite(logit).all()
    assert jnp.std(logit) > 0
    np.testing.assert_array_equal(logit, apply(_images()))


@pytest.mark.parametrize("name", small.structures())
def test_bfloat16_and_float_images_give_nearly_the_same_logits(name):
    state, _ = _train(name)
    variables, images = state.eval_variables, _separable_images()
    as_float = images.astype(jnp.float32) / 255
    single = _model(name)
    half = single.clone(dtype="bfloat16")
    assert "bf16" in str(jax.make_jaxpr(half.apply)(variables, as_float))
    inputs = ((single, images), (single, as_float), (half, as_float))
    apply = jax.jit(lambda v: [model.apply(v, image) for model, image in inputs])
    logit, of_float, of_half = apply(variables)
    spread = np.ptp(logit)
    np.testing.assert_allclose(of_float, logit, rtol=0, atol=1e-5 * spread)
    assert of_half.dtype == jnp.float32
    deviation = np.abs(of_half - logit).max()
    assert 1e-5 * spread < deviation < 0.03 * spread


@pytest.mark.parametrize("name", small.structures())
def test_gradients_reach_every_parameter_and_the_loss_falls_far_below_chance(name):
    state, loss = _train(name)
    # Adam's first moment holds a share of every gradient.
    moments = state.opt_state[0].mu
    names = tree.leaf_names(moments)
    dead = [n for n, m in zip(names, jax.tree.leaves(moments), strict=True) if not jnp.any(m)]
    assert dead == []
    assert max(loss[-3:]) < 0.4 * np.log(2)


@pytest.mark.parametrize("name", small.structures())
def test_features_are_maps_and_the_embedding_is_what_the_head_sees(name):
    model, variables = _model(name), _variables(name)
    _, state = jax.eval_shape(
        lambda v: model.apply(v, _images(), mutable=["intermediates"]), variables
    )
    features = state["intermediates"]["features"][0]
    assert features.ndim == 4
    assert features.shape[0] == 8
    kernel = variables["params"]["head"]["logit"]["kernel"]
    assert state["intermediates"]["head"]["embedding"][0].shape == (8, kernel.shape[0])


@pytest.mark.parametrize(
    "name", [n for n in small.structures() if hasattr(small.build(n), "stochastic_depth")]
)
def test_stochastic_depth_draws_in_training_alone(name):
    plain, deep = _model(name), _model(name, stochastic_depth=0.5)

    def program(model, **kwargs):
        apply = functools.partial(model.apply, rngs={"dropout": jax.random.key(0)}, **kwargs)
        return str(jax.make_jaxpr(apply)(_variables(name), _images()))

    training = {"train": True, "mutable": ["batch_stats"]}
    assert program(deep) == program(plain)
    assert "random_bits" not in program(plain, **training)
    assert "random_bits" in program(deep, **training)


def test_stochastic_depth_drops_whole_branches_and_keeps_the_mean():
    branch = jnp.ones((20_000, 2, 3))
    rngs = {"dropout": jax.random.key(0)}
    out = layers.StochasticDepth(0.25).apply({}, branch, train=True, rngs=rngs)
    assert set(np.unique(out)) == {0.0, np.float32(1 / 0.75)}
    assert (np.ptp(out, axis=(1, 2)) == 0).all()
    assert abs(float(out.mean()) - 1) < 0.02


@pytest.mark.parametrize(
    "name", [n for n in small.structures() if hasattr(small.build(n), "remat")]
)
def test_remat_computes_again_and_names_every_parameter_as_before(name):
    plain, again = _model(name), _model(name, remat=True)
    programs = [
        str(jax.make_jaxpr(each.apply)(_variables(name), _images())) for each in (plain, again)
    ]
    assert ["remat" in program for program in programs] == [False, True]
    shapes = [jax.eval_shape(m.init, jax.random.key(0), _images(1)) for m in (plain, again)]
    assert jax.tree.map(jnp.shape, shapes[0]["params"]) == jax.tree.map(
        jnp.shape, shapes[1]["params"]
    )


@pytest.mark.parametrize("name", ["resnet50", "vit_b16", "dlib_resnet", "vgg11"])
def test_images_of_another_size_than_is_legal_are_named(name):
    model = models.build(name)
    image = jax.ShapeDtypeStruct((1, 30, 30, 3), jnp.uint8)
    with pytest.raises(ValueError, match=r"images of 30 x 30 pixels: this model takes"):
        jax.eval_shape(model.init, jax.random.key(0), image)


def test_zero_init_residual_starts_blocks_as_identity():
    model = small.build("resnet18", zero_init_residual=True)
    variables = jax.jit(model.init)(jax.random.key(0), _images(1))
    block = variables["params"]["stage1_block1"]
    assert not block["bn2"]["scale"].any()
    assert block["bn1"]["scale"].all()


def test_a_new_file_in_the_folder_is_a_new_family(tmp_path):
    package = shutil.copytree(pathlib.Path(models.__file__).parent, tmp_path / "models")
    (package / "mine.py").write_text(
        "from dfjax.models import backbone\n"
        "class Mine(backbone.Backbone):\n"
        "    width: int\n"
        "backbone.register(Mine, {'mine': {'width': 7}})\n"
    )
    program = (
        "import dfjax\n"
        f"dfjax.__path__.insert(0, {str(tmp_path)!r})\n"
        "from dfjax import models\n"
        "model = models.build('mine', dropout=0.25)\n"
        "print(model.width, model.dropout, model.native_size)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "7 0.25 224\n", done.stderr


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown model 'resnet19': choose one of .*resnet18"):
        models.build("resnet19")


def test_setting_of_another_family_is_refused_and_none_is_the_default():
    assert models.build("vgg11", pool=None, dropout=None).dropout == 0.5
    with pytest.raises(ValueError, match=r"vgg11 has no setting pool: .*one of batch_norm, "):
        models.build("vgg11", pool="token")
