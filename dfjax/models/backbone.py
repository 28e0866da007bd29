"""What all networks have in common: the call, the fields, and how a family registers its models.

A new family is a file in this folder with a subclass of `Backbone` and a call of `register`;
`dfjax.models` finds it there.
"""

import functools
from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from dfjax import registry
from dfjax.models import layers


class Backbone(nn.Module, kw_only=True):
    """A network from images to one logit of "fake".

    A subclass is called with images [B, H, W, 3], uint8 or float in 0..1, and `train`, and returns
    logits [B] in float32. It ends in a `layers.BinaryHead` named "head".

    Attributes:
      dtype: compute type, "float32" or "bfloat16"; parameters, statistics, the head and the logit
        stay in float32.
      dropout: rate before the head.
      clip_attention: units of the head's `layers.GatedAttention`; 0: frames of a clip count alike.
      native_size: side in pixels of the images that published weights were trained on.
      mean, std: per-channel constants of the preprocessing, in the 0..1 range of RGB.
      form: how layers are written down for the compiler. "plain": one operation each, as
        accelerators and exports need them; "cpu": as in `cpu_forms`, which XLA makes faster code of
        on a CPU. Parameters and, but for rounding, results are the same.

    Where a family has one of the following fields, it means the same everywhere:

    - stochastic_depth: drop rate of the last residual branch; it grows from 0 at the first.
    - remat: compute each block again in the backward pass, to save memory.
    - norm_epsilon: added to the variance in every norm.
    - folded: every BatchNorm is part of the convolution before it (`models.fold`); for inference
      only.
    """

    dtype: str = "float32"
    dropout: float = 0.0
    clip_attention: int = 0
    native_size: int = 224
    mean: tuple[float, float, float] = layers.IMAGENET_MEAN
    std: tuple[float, float, float] = layers.IMAGENET_STD
    form: str = "plain"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # All fields are given by keyword, so that a family may have some without a default.
        super().__init_subclass__(kw_only=True, **kwargs)


def register(family: type[Backbone], models: Mapping[str, Mapping[str, Any]]) -> None:
    """Registers models of one family: from the name of each to its fields."""
    for name, fields in models.items():
        registry.register("model", name)(functools.partial(family, **fields))
