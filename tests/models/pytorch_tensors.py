"""Our variables as a weight file of PyTorch, by the names that a family registers."""

from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dfjax import tree
from dfjax.models import key_names

_KINDS = {
    "params/kernel": "weight",
    "params/scale": "weight",
    "params/bias": "bias",
    "batch_stats/mean": "running_mean",
    "batch_stats/var": "running_var",
}


def as_pytorch(variables: dict[str, Any], model: nn.Module, library: str) -> dict[str, np.ndarray]:
    """Tensors by PyTorch's names and in its layouts; the head is left out."""
    modules = {ours: theirs for theirs, ours in key_names.names(model)[library].items()}
    tensors = {}
    for name, leaf in zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True):
        collection, path = name.split("/", 1)
        module, _, kind = path.rpartition("/")
        value = np.asarray(leaf)
        if module not in modules:
            assert module.startswith("head"), f"{module} has no name in {library}"
            continue
        if kind == "kernel" and value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif kind == "kernel":
            value = value.T
        tensors[f"{modules[module]}.{_KINDS[f'{collection}/{kind}']}"] = value
    return tensors
