"""BatchNorm folded into the convolution before it: the same function, fewer operations.

With frozen statistics a norm is an affine map of each channel. Its scale' = scale / sqrt(var + eps)
goes into the kernel of the convolution, the rest into a bias. A norm after an activation has no
such convolution: it becomes a layer with a scale and a bias.
"""

from typing import Any

import numpy as np
from flax import linen as nn


def fold(model: nn.Module, variables: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the folded model and its variables, which are only {"params"}.

    A norm named bnX follows the convolution named convX in the same module. A norm named affineX
    becomes a `layers.Affine`. `model` has the fields `norm_epsilon`, and `folded`, which omits the
    norms. A model without BatchNorms is returned as it is.

    Raises:
      ValueError: a norm has no convolution of its name.
    """
    if not variables.get("batch_stats"):
        return model, {"params": variables["params"]}
    constants = _fold_tree(variables["params"], variables["batch_stats"], model.norm_epsilon)
    return model.clone(folded=True), {"params": constants}


def _fold_tree(
    params: dict[str, Any], statistics: dict[str, Any], epsilon: float
) -> dict[str, Any]:
    folded = {}
    for name, value in params.items():
        if name in statistics and "mean" in statistics[name]:
            continue  # a norm
        inner = statistics.get(name)
        folded[name] = value if inner is None else _fold_tree(value, inner, epsilon)
    for name, statistic in statistics.items():
        if "mean" not in statistic:
            continue
        scale, bias = _affine(params[name], statistic, epsilon)
        conv = name.replace("bn", "conv", 1)
        if name.startswith("affine"):
            folded[name] = {"scale": np.float32(scale), "bias": np.float32(bias)}
        elif name.startswith("bn") and conv in params:
            folded[conv] = _scaled(params[conv], scale, bias)
        else:
            raise ValueError(
                f"norm {name} has no convolution {conv} next to it: rename one of them"
            )
    return folded


def _affine(
    norm: dict[str, Any], statistic: dict[str, Any], epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """(scale, bias) of a norm with frozen statistics."""
    # In float64, so that many such layers together are still right to 1e-5.
    scale, bias, mean, var = (
        np.asarray(value, np.float64)
        for value in (norm["scale"], norm["bias"], statistic["mean"], statistic["var"])
    )
    scale = scale / np.sqrt(var + epsilon)
    return scale, bias - mean * scale


def _scaled(conv: dict[str, Any], scale: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
    """The convolution followed by the affine map; the last axis of any kernel is its channels."""
    kernel = np.asarray(conv["kernel"], np.float64) * scale
    bias = np.asarray(conv.get("bias", 0.0), np.float64) * scale + bias
    return {"kernel": np.float32(kernel), "bias": np.float32(bias)}
