"""BatchNorm folded into the convolution before it: the same function, fewer operations.

With frozen statistics a norm is an affine map per channel, and so is what a convolution does to
its channels: scale' = scale / sqrt(var + eps) goes into the kernel, the rest into a bias.
"""

from typing import Any

import numpy as np
from flax import linen as nn

from dfjax.models import layers

_EPSILON = layers.BatchNorm.keywords["epsilon"]


def fold(model: nn.Module, variables: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the folded model and its variables, which hold params alone.

    A norm named bnX follows the convolution named convX beside it; `model` has a field `folded`
    that leaves the norms out. A model without norms comes back as it is.

    Raises:
      ValueError: a norm has no convolution of its name.
    """
    if not variables.get("batch_stats"):
        return model, {"params": variables["params"]}
    return model.clone(folded=True), {
        "params": _fold_tree(variables["params"], variables["batch_stats"])
    }


def _fold_tree(params: dict[str, Any], statistics: dict[str, Any]) -> dict[str, Any]:
    folded = {}
    for name, value in params.items():
        if name in statistics and "mean" in statistics[name]:
            continue  # a norm: goes into its convolution
        folded[name] = _fold_tree(value, statistics[name]) if name in statistics else value
    for name, statistic in statistics.items():
        if "mean" not in statistic:
            continue
        conv = name.replace("bn", "conv", 1)
        if not name.startswith("bn") or conv not in params:
            raise ValueError(f"norm {name} has no convolution {conv} beside it to fold it into")
        folded[conv] = _fold_pair(params[conv], params[name], statistic)
    return folded


def _fold_pair(
    conv: dict[str, Any], norm: dict[str, Any], statistic: dict[str, Any]
) -> dict[str, np.ndarray]:
    # In float64: the product of many such layers shall still be right to 1e-5.
    scale, shift, mean, var = (
        np.asarray(value, np.float64)
        for value in (norm["scale"], norm["bias"], statistic["mean"], statistic["var"])
    )
    scale = scale / np.sqrt(var + _EPSILON)
    kernel = np.asarray(conv["kernel"], np.float64) * scale
    bias = np.asarray(conv.get("bias", 0.0), np.float64) * scale + shift - mean * scale
    return {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
