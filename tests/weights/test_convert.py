"""Every tensor of another library gets its place, layout and sign, or is named in an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from dfjax import models, tree
from dfjax.models import key_names
from dfjax.weights import convert
from tests.models import pytorch_tensors


class Toy(nn.Module):
    """Stands for a network whose variables are `LIKE`."""


@key_names.register(Toy, "torch")
def _torch_names(model: Toy) -> key_names.Names:
    parts = {f"attn.{key}": key_names.Part("qkv", i, 3) for i, key in enumerate("qkv")}
    return {
        "stem.0": "conv",
        "dw": "depthwise",
        "norm": "bn",
        **parts,
        "cls": "token",
        "out": key_names.Negated("head/logit"),
        "fc": None,
    }


@key_names.register(Toy, "keras")
def _keras_names(model: Toy) -> key_names.Names:
    return {
        "conv2d_1": "conv",
        "depthwise_conv2d_1": "depthwise",
        "batch_normalization_1": "bn",
        "qkv": "qkv",
        "cls/token": "token",
        "dense_1": key_names.Negated("head/logit"),
    }


_RNG = np.random.default_rng(0)


def _draw(*shape: int) -> np.ndarray:
    return _RNG.random(shape, np.float32)


LIKE = {
    "params": {
        "conv": {"kernel": _draw(5, 3, 2, 4), "bias": _draw(4)},
        "depthwise": {"kernel": _draw(3, 3, 1, 4)},
        "bn": {"scale": _draw(4), "bias": _draw(4)},
        "qkv": {"kernel": _draw(4, 6), "bias": _draw(6)},
        "token": _draw(1, 1, 4),
        "head": {"logit": {"kernel": _draw(4, 1), "bias": _draw(1)}},
    },
    "batch_stats": {"bn": {"mean": _draw(4), "var": _draw(4)}},
}
TORCH = {
    "stem.0.weight": _draw(4, 2, 5, 3),
    "stem.0.bias": _draw(4),
    "dw.weight": _draw(4, 1, 3, 3),
    "norm.weight": _draw(4),
    "norm.bias": _draw(4),
    "norm.running_mean": _draw(4),
    "norm.running_var": _draw(4),
    "norm.num_batches_tracked": np.int64(7),
    **{f"attn.{key}.weight": _draw(2, 4) for key in "qkv"},
    **{f"attn.{key}.bias": _draw(2) for key in "qkv"},
    "cls": _draw(4),
    "out.weight": _draw(1, 4),
    "out.bias": _draw(1),
    "fc.weight": _draw(1000, 4),
}


def _leaves(variables: dict) -> dict[str, np.ndarray]:
    return dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))


def test_layouts_of_pytorch_become_ours():
    variables, transfer = convert.convert(TORCH, Toy(), LIKE, reinit="")
    params = variables["params"]
    for row, column, entered, left in ((0, 0, 0, 0), (4, 2, 1, 3), (3, 1, 0, 2)):
        expected = TORCH["stem.0.weight"][left, entered, row, column]
        assert params["conv"]["kernel"][row, column, entered, left] == expected
    assert params["depthwise"]["kernel"][2, 1, 0, 3] == TORCH["dw.weight"][3, 0, 2, 1]
    np.testing.assert_array_equal(params["bn"]["scale"], TORCH["norm.weight"])
    np.testing.assert_array_equal(params["bn"]["bias"], TORCH["norm.bias"])
    statistics = variables["batch_stats"]["bn"]
    np.testing.assert_array_equal(statistics["mean"], TORCH["norm.running_mean"])
    np.testing.assert_array_equal(statistics["var"], TORCH["norm.running_var"])
    for index, key in enumerate("qkv"):
        columns = slice(2 * index, 2 * index + 2)
        np.testing.assert_array_equal(
            params["qkv"]["kernel"][:, columns], TORCH[f"attn.{key}.weight"].T
        )
        np.testing.assert_array_equal(params["qkv"]["bias"][columns], TORCH[f"attn.{key}.bias"])
    np.testing.assert_array_equal(params["token"][0, 0], TORCH["cls"])
    np.testing.assert_array_equal(params["head"]["logit"]["kernel"], -TORCH["out.weight"].T)
    np.testing.assert_array_equal(params["head"]["logit"]["bias"], -TORCH["out.bias"])
    assert transfer.library == "torch"
    assert transfer.dropped == ("fc.weight", "norm.num_batches_tracked")
    assert transfer.reinitialized == ()


def test_layouts_of_keras_are_kept_but_for_depthwise_kernels():
    tensors = {
        "conv2d_1/kernel": _draw(5, 3, 2, 4),
        "conv2d_1/bias": _draw(4),
        "depthwise_conv2d_1/depthwise_kernel": _draw(3, 3, 4, 1),
        **{f"batch_normalization_1/{kind}": _draw(4) for kind in ("gamma", "beta")},
        **{f"batch_normalization_1/moving_{kind}": _draw(4) for kind in ("mean", "variance")},
        "qkv/kernel": _draw(4, 6),
        "qkv/bias": _draw(6),
        "cls/token": _draw(1, 1, 4),
        "dense_1/kernel": _draw(4, 1),
        "dense_1/bias": _draw(1),
    }
    variables, transfer = convert.convert(tensors, Toy(), LIKE, reinit="")
    params = variables["params"]
    np.testing.assert_array_equal(params["conv"]["kernel"], tensors["conv2d_1/kernel"])
    np.testing.assert_array_equal(
        params["depthwise"]["kernel"][:, :, 0],
        tensors["depthwise_conv2d_1/depthwise_kernel"][..., 0],
    )
    np.testing.assert_array_equal(params["bn"]["scale"], tensors["batch_normalization_1/gamma"])
    np.testing.assert_array_equal(
        variables["batch_stats"]["bn"]["var"], tensors["batch_normalization_1/moving_variance"]
    )
    assert transfer.library == "keras"
    assert len(transfer.used) == len(tensors)


def test_our_own_names_and_those_of_data_parallel_are_known():
    converted, _ = convert.convert(TORCH, Toy(), LIKE, reinit="")
    parallel = {f"module.{name}": value for name, value in TORCH.items()}
    for tensors in (_leaves(converted), parallel):
        again, _ = convert.convert(tensors, Toy(), LIKE, reinit="")
        jax.tree.map(np.testing.assert_array_equal, again, converted)


def test_reinitialized_leaves_stay_whether_the_file_holds_them_or_not():
    without = {name: value for name, value in TORCH.items() if not name.startswith("out")}
    for tensors in (TORCH, without):
        variables, transfer = convert.convert(tensors, Toy(), LIKE, reinit="head/.*|bn/.*")
        assert variables["params"]["head"] == LIKE["params"]["head"]
        assert variables["params"]["bn"] == LIKE["params"]["bn"]
        assert variables["batch_stats"] == LIKE["batch_stats"]
        assert len(transfer.reinitialized) == 6
    np.testing.assert_array_equal(variables["params"]["token"][0, 0], TORCH["cls"])


def _without(*names: str) -> dict[str, np.ndarray]:
    return {name: value for name, value in TORCH.items() if name not in names}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (_without("dw.weight"), r"params/depthwise/kernel \[3, 3, 1, 4\] is missing"),
        (_without("attn.k.bias"), r"params/qkv/bias \[6\] is missing"),
        ({**TORCH, "stem.1.weight": _draw(4)}, "stem.1.weight is unknown"),
        ({**TORCH, "norm.alpha": _draw(4)}, "norm.alpha has no place in bn"),
        ({**TORCH, "module.cls": _draw(4)}, "several tensors have the same place"),
        (
            {**TORCH, "stem.0.weight": _draw(4, 2, 3, 5)},
            r"stem.0.weight has shape \[4, 2, 3, 5\], and params/conv/kernel needs \[5, 3, 2, 4\]",
        ),
        ({**TORCH, "out.weight": _draw(2, 4)}, r"shape \[2, 4\], and params/head/logit/kernel"),
        ({**TORCH, "cls": np.float32([0, 1, np.nan, 0])}, "cls has values that are not finite"),
        (_leaves(LIKE["params"]), r"is unknown"),
    ],
)
def test_tensors_without_a_place_and_places_without_a_tensor_are_named(tensors, message):
    with pytest.raises(ValueError, match=message) as caught:
        convert.convert(tensors, Toy(), LIKE, reinit="")
    assert "\n" not in str(caught.value)


def test_a_model_without_names_of_other_libraries_takes_only_ours():
    class Unknown(nn.Module):
        pass

    with pytest.raises(ValueError, match="Unknown has no names of other libraries"):
        convert.convert(TORCH, Unknown(), LIKE, reinit="")


def _abstract(name: str, **settings):
    model = models.build(name, width=8, **settings)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    return model, {key: variables[key] for key in ("params", "batch_stats")}


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        (
            "resnet18",
            "resnet50",
            r"by the names of torchvision, timm: .* is missing, .* and \d+ more: choose the model",
        ),
        ("resnet50", "resnet18", r"layer1\.\S+ .* and \d+ more: choose the model"),
    ],
)
def test_weights_of_another_depth_are_refused(given, wanted, message):
    model, variables = _abstract(given)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), variables)
    tensors = pytorch_tensors.as_pytorch(zeros, model, "torchvision, timm")
    model, like = _abstract(wanted)
    with pytest.raises(ValueError, match=message):
        convert.convert(tensors, model, like, reinit="head/.*")
