"""Names of the leaves of a parameter tree, and rules over those names."""

import hashlib
import re
from typing import Any

import jax
import numpy as np


def leaf_names(tree: Any) -> list[str]:
    """Names like "stage1_block1/conv1/kernel", in the order of `jax.tree.leaves`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]


def digest(tree: Any) -> str:
    """SHA-256 of names, types, shapes and values: equal for equal parameters, wherever they lie."""
    digest = hashlib.sha256()
    for name, leaf in sorted(zip(leaf_names(tree), jax.tree.leaves(tree), strict=True)):
        value = np.ascontiguousarray(leaf)
        digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def match(tree: Any, pattern: str) -> Any:
    """A tree of bool, True where the leaf's whole name matches the regular expression.

    Raises:
      ValueError: no name matches, which is nearly always a misspelt rule.
    """
    names = leaf_names(tree)
    matches = [re.fullmatch(pattern, name) is not None for name in names]
    if not any(matches):
        raise ValueError(f"rule {pattern!r} matches no parameter: names look like {names[:3]}")
    return jax.tree.unflatten(jax.tree.structure(tree), matches)
