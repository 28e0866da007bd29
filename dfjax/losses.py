"""Losses per example, without reduction: the step averages."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from dfjax import registry

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def build(name: str, **kwargs: Any) -> Loss:
    """The registered loss: (logits [B], labels [B]; 0 real, 1 fake) to values [B].

    Raises:
      UserError: an unknown name; the message lists the known ones.
    """
    return registry.build("loss", name, **kwargs)


@registry.register("loss", "bce")
def make_bce(*, label_smoothing: float = 0.0) -> Loss:
    """Binary cross-entropy in nats.

    Smoothing by s moves the targets to s / 2 and 1 - s / 2 (Szegedy et al., arXiv:1512.00567).
    """

    def bce(logit: jax.Array, label: jax.Array) -> jax.Array:
        target = label * (1.0 - label_smoothing) + 0.5 * label_smoothing
        return optax.sigmoid_binary_cross_entropy(logit, target)

    return bce
