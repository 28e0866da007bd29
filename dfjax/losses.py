"""Losses per example, without reduction: the step averages."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from dfjax import registry

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def build(name: str, **kwargs: Any) -> Loss:
    """Returns the registered loss: (logits [B], labels [B]; 0 real, 1 fake) to values [B].

    Raises:
      UserError: an unknown name; the message lists the known ones.
    """
    return registry.build("loss", name, **kwargs)


@registry.register("loss", "bce")
def make_bce(*, label_smoothing: float = 0.0) -> Loss:
    """Binary cross-entropy in nats, with the targets of `_smooth`."""

    def bce(logit: jax.Array, label: jax.Array) -> jax.Array:
        return optax.sigmoid_binary_cross_entropy(logit, _smooth(label, label_smoothing))

    return bce


@registry.register("loss", "focal")
def make_focal(*, label_smoothing: float = 0.0, gamma: float = 2.0) -> Loss:
    """Focal loss in nats (Lin et al., arXiv:1708.02002), with the targets of `_smooth`.

    The cross-entropy times (1 - p)**gamma, where p is the probability of the true class: examples
    that are already right count less. There is no class weight, because batches are balanced.
    Scores are less extreme than with "bce" until a temperature is fitted.
    """

    def focal(logit: jax.Array, label: jax.Array) -> jax.Array:
        return optax.sigmoid_focal_loss(logit, _smooth(label, label_smoothing), gamma=gamma)

    return focal


def _smooth(label: jax.Array, label_smoothing: float) -> jax.Array:
    """Targets s / 2 and 1 - s / 2 for labels 0 and 1 (Szegedy et al., arXiv:1512.00567)."""
    return label * (1.0 - label_smoothing) + 0.5 * label_smoothing
