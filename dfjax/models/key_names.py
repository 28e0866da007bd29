"""What other libraries call the layers of our models, so that their weights can be read.

A family's file registers, for each library, a function from a model to its `Names`; the arithmetic
of the conversion is in `weights.convert`.
"""

import dataclasses
from collections.abc import Callable

from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class Part:
    """Part `index` of `count` equal ones along the last axis of the parameters of our `module`."""

    module: str
    index: int
    count: int


@dataclasses.dataclass(frozen=True)
class Negated:
    """Our `module` with the opposite sign: a detector whose output is P(real)."""

    module: str


# From the path of a foreign module ("layer1.0.conv1") to that of ours ("stage1_block1/conv1"), or
# from the whole name of a foreign tensor ("cls_token") to that of our leaf ("class_token"). None:
# deliberately not taken over, as the classifier.
Names = dict[str, str | Part | Negated | None]

Normalisation = dict[str, tuple[float, float, float]]  # "mean" and "std" of RGB in 0..1

_NAMES: dict[type[nn.Module], dict[str, Callable[[nn.Module], Names]]] = {}
_NORMALISATION: dict[tuple[type[nn.Module], str], Normalisation] = {}


def register(
    model: type[nn.Module], library: str, normalisation: Normalisation | None = None
) -> Callable:
    """Returns a decorator that makes a function the source of `library`'s names for a model.

    `normalisation` is that of the images that all weights with these names were trained on; None
    where it differs from file to file, or where every file states it.
    """

    def decorate(make_names: Callable[[nn.Module], Names]) -> Callable[[nn.Module], Names]:
        _NAMES.setdefault(model, {})[library] = make_names
        _NORMALISATION[model, library] = normalisation or {}
        return make_names

    return decorate


def names(model: nn.Module) -> dict[str, Names]:
    """The names of every library that is known for `model`, by library."""
    return {library: make(model) for library, make in _NAMES.get(type(model), {}).items()}


def normalisation(model: nn.Module, library: str) -> Normalisation:
    """What all of `library`'s weights for `model` were trained with; empty where that differs."""
    return _NORMALISATION.get((type(model), library), {})
