"""A small detector for a CPU, to be trained from nothing: 160 thousand parameters at 112 px.

Plain 3x3 convolutions: depthwise ones need fewer multiplications, but XLA's are slow to train on a
CPU. Traces of forgery are fine-grained, so there is no pooling: a stride of 2 takes its place and
comes with more channels, the first with 16 for the 12 values of 2 x 2 pixels. The further
convolutions of a stage are residual. BatchNorms stand directly after convolutions and disappear
into them (`models.fold`). 16 million multiplications per image at 112 px, half as many as a
ResNet-18 of width 16 needs.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax import registry
from dfjax.models import layers

_he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class DFCNN(nn.Module):
    """Stages of 3x3 convolutions that end in one logit of "fake".

    Attributes:
      stage_sizes: convolutions per stage; the first halves the resolution, the others are residual.
      widths: channels of each stage.
      dtype: compute type of the convolutions ("float32" or "bfloat16"); parameters, statistics,
        the head and the logit stay in float32.
      stochastic_depth: drop rate of the last residual branch; it grows from 0 at the first.
      dropout: rate before the head.
      norm_epsilon: of the BatchNorms.
      folded: the norms are part of the convolutions (`models.fold`); for inference only.
      native_size: side in pixels of the images that the network is meant for.
      mean, std: per-channel constants of the preprocessing, in the 0..1 range of RGB.
    """

    stage_sizes: Sequence[int] = (1, 1, 2, 2)
    widths: Sequence[int] = (16, 24, 48, 96)
    dtype: str = "float32"
    stochastic_depth: float = 0.0
    dropout: float = 0.0
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
            layers.conv, kernel=3, dtype=dtype, kernel_init=_he_normal, use_bias=self.folded
        )
        norm = functools.partial(
            layers.BatchNorm,
            use_running_average=not train,
            epsilon=self.norm_epsilon,
            dtype=dtype,
        )
        norm = layers.folded_norm if self.folded else norm
        num_branches = sum(self.stage_sizes) - len(self.stage_sizes)
        drop_rates = iter(np.linspace(0, self.stochastic_depth, num_branches).tolist())

        x = layers.normalize(image, self.mean, self.std, dtype)
        for stage, (size, width) in enumerate(zip(self.stage_sizes, self.widths, strict=True), 1):
            x = conv(width, strides=2, name=f"conv{stage}_1")(x)
            x = nn.relu(norm(name=f"bn{stage}_1")(x))
            for index in range(2, size + 1):
                y = norm(name=f"bn{stage}_{index}")(conv(width, name=f"conv{stage}_{index}")(x))
                x = nn.relu(x + layers.StochasticDepth(next(drop_rates))(y, train=train))
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(dropout=self.dropout, name="head")(x, train=train)


@registry.register("model", "dfcnn")
def dfcnn() -> DFCNN:
    return DFCNN()
