"""Names of the leaves of a parameter tree, and rules over those names."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dfjax.errors import UserError


def leaf_names(tree: Any) -> list[str]:
    """Returns names like "stage1_block1/conv1/kernel", in the order of `jax.tree.leaves`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]


def digest(tree: Any) -> str:
    """Returns the SHA-256 of names, types, shapes and values, the same on every device."""
    digest = hashlib.sha256()
    for name, leaf in sorted(zip(leaf_names(tree), jax.tree.leaves(tree), strict=True)):
        value = np.ascontiguousarray(leaf)
        digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def num_bytes(tree: Any) -> int:
    """Returns the bytes of all leaves, which may be abstract."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def map_names(function: Callable[[str], Any], tree: Any) -> Any:
    """Returns the tree with each leaf replaced by `function` of its name."""
    values = [function(name) for name in leaf_names(tree)]
    return jax.tree.unflatten(jax.tree.structure(tree), values)


def match(tree: Any, pattern: str) -> Any:
    """Returns a tree of bool: True if the leaf's whole name matches the regular expression.

    Raises:
      UserError: no name matches, which is nearly always a misspelled rule.
    """
    matches = map_names(lambda name: re.fullmatch(pattern, name) is not None, tree)
    if not any(jax.tree.leaves(matches)):
        names = leaf_names(tree)[:3]
        raise UserError(f"rule {pattern!r} matches no parameter: names look like {names}")
    return matches
