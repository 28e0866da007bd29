"""A small detector for a CPU, trained from random weights: 160 thousand parameters, 112 px.

Plain 3x3 convolutions, which need more multiplications than depthwise ones and fewer passes over
memory. Traces of forgery are fine-grained, so there is no pooling: a stride of 2 takes its place
and comes with more channels, the first with 16 for the 12 values of 2 x 2 pixels. The other
convolutions of a stage are residual. BatchNorms stand directly after convolutions and disappear
into them (`models.fold`). 16 million multiplications per image at 112 px, half as many as a
ResNet-18 of width 16 needs.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, layers


class DFCNN(backbone.Backbone):
    """Stages of 3x3 convolutions that end in one logit of "fake".

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stage_sizes: convolutions per stage; the first halves the resolution, the others are residual.
      widths: channels of each stage.
    """

    stage_sizes: Sequence[int] = (1, 1, 2, 2)
    widths: Sequence[int] = (16, 24, 48, 96)
    stochastic_depth: float = 0.0
    norm_epsilon: float = 1e-5
    folded: bool = False
    native_size: int = 112
    mean: tuple[float, float, float] = layers.INCEPTION_MEAN
    std: tuple[float, float, float] = layers.INCEPTION_STD

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 32."""
        layers.require_size(image, at_least=32)
        dtype = jnp.dtype(self.dtype)
        conv = functools.partial(
            layers.conv,
            kernel=3,
            form=self.form,
            dtype=dtype,
            kernel_init=layers.he_normal,
            use_bias=self.folded,
        )
        norm = layers.batch_norm(
            train=train, form=self.form, folded=self.folded, epsilon=self.norm_epsilon, dtype=dtype
        )
        num_branches = sum(self.stage_sizes) - len(self.stage_sizes)
        drop_rates = layers.drop_rates(self.stochastic_depth, num_branches)

        x = layers.normalize(image, self.mean, self.std, dtype)
        for stage, (size, width) in enumerate(zip(self.stage_sizes, self.widths, strict=True), 1):
            x = conv(width, strides=2, name=f"conv{stage}_1")(x)
            x = nn.relu(norm(name=f"bn{stage}_1")(x))
            for index in range(2, size + 1):
                y = norm(name=f"bn{stage}_{index}")(conv(width, name=f"conv{stage}_{index}")(x))
                x = nn.relu(x + layers.StochasticDepth(next(drop_rates))(y, train=train))
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)


backbone.register(DFCNN, {"dfcnn": {}})
