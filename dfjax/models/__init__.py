"""Backbones, one family per file; importing this package registers all of them."""

from typing import Any

from flax import linen as nn

from dfjax import registry
from dfjax.models import resnet as resnet


def build(name: str, **kwargs: Any) -> nn.Module:
    """The registered model: images [B, H, W, 3] to logits [B], see the family's file.

    Raises:
      ValueError: an unknown name; the message lists the known ones.
    """
    return registry.build("model", name, **kwargs)
