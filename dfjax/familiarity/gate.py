"""How strange features are: the arithmetic of a gate, the same in every runtime.

Features are standardised and projected on the principal axes of the training data. What a crop is
along the axes, and how much of it lies beside them (the distance from the feature space of
Moghaddam and Pentland, 1997), is weighted by a logistic regression that tells training crops from
`strangers`. Squares and the rest beside the axes have no negative weight: whatever is far enough
from the training data is strange, in directions that no stranger showed, too.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.familiarity import features
from dfjax.familiarity.features import Maps
from dfjax.models import layers

COLLECTION = "familiarity"  # of the statistics, among the variables of a network


class Statistics(NamedTuple):
    """What the training data are like; float32 arrays of D features and d axes.

    Attributes:
      mean, scale: [D], of the features.
      axes: [D, d], the principal axes of standardised features, of length 1.
      spread: [d], the standard deviation along each axis.
      linear, square: [d], the weights of a coordinate and of its square; squares' are not negative.
      beside: [], the weight, not negative, of the logarithm of what lies beside the axes.
      offset: [], added to all that.
    """

    mean: jax.Array
    scale: jax.Array
    axes: jax.Array
    spread: jax.Array
    linear: jax.Array
    square: jax.Array
    beside: jax.Array
    offset: jax.Array


def predict(
    variables: dict[str, Any],
    image: jax.Array,
    *,
    model: nn.Module,
    image_size: int,
    maps: Maps = (),
) -> dict[str, jax.Array]:
    """Returns what a network says of crops as `steps.predict` takes them, float32 [B] by name.

    That is `logit`, `attention` if the network has one, and `strangeness`, for which the variables
    have the fields of `Statistics` under `COLLECTION`. Without `maps` there is no gate: neither
    statistics nor strangeness.
    """
    said, found = look(variables, image, model=model, image_size=image_size, maps=maps)
    if not maps:
        return said
    with jax.default_matmul_precision("highest"):
        strange = strangeness(found, Statistics(**variables[COLLECTION]))
    return {**said, "strangeness": strange}


def look(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module, image_size: int, maps: Maps
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Returns what `features.apply` does of crops as `steps.predict` takes them."""
    with jax.default_matmul_precision("highest"):  # as `steps.predict`
        image = layers.resize(image, image_size)
        return features.apply(variables, image, model=model, maps=maps)


def strangeness(found: jax.Array, statistics: Statistics) -> jax.Array:
    """Returns the log-odds [B] that features [B, D] are those of a stranger."""
    along, beside = coordinates(found, statistics)
    weighted = along * statistics.linear[None] + along**2 * statistics.square[None]
    return weighted.sum(1) + statistics.beside * jnp.log(beside) + statistics.offset


def coordinates(found: jax.Array, statistics: Statistics) -> tuple[jax.Array, jax.Array]:
    """Returns ([B, d] along the axes in standard deviations, [B] squared length beside them)."""
    standard = (found - statistics.mean[None]) / statistics.scale[None]
    along = standard @ statistics.axes
    beside = (standard**2).sum(1) - (along**2).sum(1)
    return along / statistics.spread[None], jnp.maximum(beside, 1e-6)
