"""What other libraries call the layers of our models.

A family's file registers, for each library whose weights it can take, a function from a model to
its `Names`. The conversion itself is in `weights.convert`.
"""

import dataclasses
from collections.abc import Callable

from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class Part:
    """A share of the parameters of one of our modules.

    Attributes:
      module: path of ours.
      index, count: the part's number, from 0, and the number of equal parts along the last axis.
    """

    module: str
    index: int
    count: int


@dataclasses.dataclass(frozen=True)
class Negated:
    """A module whose parameters change their sign, for a detector whose output is P(real).

    Attributes:
      module: path of ours.
    """

    module: str


# From the path of a module in the other library ("layer1.0.conv1") to that of ours
# ("stage1_block1/conv1"), or from the whole name of a tensor ("cls_token") to that of our leaf
# ("class_token"). None: dropped on purpose, like the classifier.
Names = dict[str, str | Part | Negated | None]

Normalization = dict[str, tuple[float, float, float]]  # "mean" and "std" of RGB in 0..1

_NAMES: dict[type[nn.Module], dict[str, Callable[[nn.Module], Names]]] = {}
_NORMALIZATION: dict[tuple[type[nn.Module], str], Normalization] = {}


def register(
    model: type[nn.Module], library: str, normalization: Normalization | None = None
) -> Callable:
    """Returns a decorator for the function that gives `library`'s names for a model.

    `normalization` is that of the images that all weights with these names were trained on; None
    if it differs from file to file, or if every file states it.
    """

    def decorate(make_names: Callable[[nn.Module], Names]) -> Callable[[nn.Module], Names]:
        _NAMES.setdefault(model, {})[library] = make_names
        _NORMALIZATION[model, library] = normalization or {}
        return make_names

    return decorate


def names(model: nn.Module) -> dict[str, Names]:
    """Returns the names that every library uses for `model`, by library."""
    return {library: make(model) for library, make in _NAMES.get(type(model), {}).items()}


def normalization(model: nn.Module, library: str) -> Normalization:
    """Returns what all of `library`'s weights for `model` were trained with; {} if that differs."""
    return _NORMALIZATION.get((type(model), library), {})
