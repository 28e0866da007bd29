"""EfficientNet: the backbone of most winning deepfake detectors.

Tan and Le, "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946). Weights of B0 to B7 are
published in two forms:

- `efficientnet_b*` as torchvision: symmetric padding; BatchNorm with epsilon 1e-5 and momentum 0.9,
  from B5 on 1e-3 and 0.99. timm's weights of the same names fit B0 to B4 as they are; timm keeps
  the epsilon of 1e-5 from B5 on, so those need `norm_epsilon=1e-5`.
- `tf_efficientnet_b*` as the original in TensorFlow and timm's copies of it, among them Noisy
  Student (arXiv:1911.04252): padding "SAME", epsilon 1e-3, momentum 0.99.

`efficientnet_lite*` are for small processors
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite): as TensorFlow's
B0 to B2, but without squeeze and excitation, with ReLU6, and with the stem, the last convolution,
the first and the last stage of B0. Images become (x - 127) / 128 of 0..255, for which timm's copies
take 0.5 and 0.5. The weights of Lite0 come with dfjax (`weights.shipped`).

Parameters with this head: B0 4.0 M, B1 6.5 M, B2 7.7 M, B3 10.7 M, B4 17.5 M, B5 28.3 M, B6 40.7 M,
B7 63.8 M; Lite0 3.4 M, Lite1 4.1 M, Lite2 4.8 M. ImageNet mean and standard deviation (timm's
AdvProp weights, "ap": 0.5 and 0.5). Dropout defaults to the published rate, stochastic depth to 0;
the papers train with 0.2. torchvision trains its B2 on 288 px.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, layers

# Table 1 of the paper, by stage: how much a block widens inside, the side of its depthwise kernel,
# the stride of its first block, channels and blocks of B0.
EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_WIDTHS = (16, 24, 40, 80, 112, 192, 320)
_STAGE_SIZES = (1, 2, 2, 3, 3, 4, 1)
_STEM_WIDTH, _LAST_WIDTH = 32, 1280

# As `key_names.register` takes it, of the Lite networks.
BY_LITE = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}

# In a depthwise convolution one input channel reaches one output channel: fan-out equals fan-in.
_he_normal_depthwise = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class SqueezeExcite(nn.Module):
    """Weighs the channels of [B, H, W, C] by the means of all channels (arXiv:1709.01507).

    Attributes:
      reduced: channels of the layer in between.
      dtype: compute type.
    """

    reduced: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        dense = functools.partial(nn.Dense, dtype=self.dtype, kernel_init=layers.he_normal)
        weight = jnp.mean(x, axis=(1, 2))
        weight = nn.silu(dense(self.reduced, name="reduce")(weight))
        weight = nn.sigmoid(dense(x.shape[-1], name="expand")(weight))
        return x * weight[:, None, None, :]


class MBConvBlock(nn.Module):
    """Inverted bottleneck: 1x1 to more channels, depthwise, squeeze and excitation, 1x1 to fewer.

    Attributes:
      filters: channels of the output.
      expansion: inner channels as a multiple of the input's; 1 omits the first layer.
      kernel, strides: of the depthwise convolution.
      drop_rate: of the branch, where there is a shortcut; see `layers.StochasticDepth`.
      squeeze_excite, activation, conv, norm: of the network.
      dtype: compute type.
    """

    filters: int
    expansion: int
    kernel: int
    strides: int
    drop_rate: float
    squeeze_excite: bool
    activation: Callable
    conv: Callable
    norm: Callable
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        inputs = x.shape[-1]
        inner = inputs * self.expansion
        y = x
        if self.expansion > 1:
            y = self.conv(inner, 1, name="conv_expand")(y)
            y = self.activation(self.norm(name="bn_expand")(y))
        y = self.conv(
            inner,
            self.kernel,
            self.strides,
            feature_group_count=inner,
            kernel_init=_he_normal_depthwise,
            name="conv_depthwise",
        )(y)
        y = self.activation(self.norm(name="bn_depthwise")(y))
        if self.squeeze_excite:
            y = SqueezeExcite(max(1, inputs // 4), self.dtype, name="squeeze_excite")(y)
        y = self.conv(self.filters, 1, name="conv_project")(y)
        y = self.norm(name="bn_project")(y)
        if self.strides > 1 or inputs != self.filters:
            return y
        return x + layers.StochasticDepth(self.drop_rate)(y, train=train)


class EfficientNet(backbone.Backbone):
    """Seven stages of `MBConvBlock`s that end in one logit of "fake".

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stage_sizes: blocks of each of the seven stages.
      width_factor: channels of every layer as a multiple of B0's, rounded to multiples of 8.
      widen_ends: whether that holds for the stem and the last convolution, too.
      squeeze_excite: whether the blocks have it.
      activation: after the norms.
      padding: of all convolutions, "symmetric" or "same" (`layers.conv`).
      norm_momentum: share of the old statistics that a BatchNorm keeps at every update.
    """

    stage_sizes: Sequence[int] = _STAGE_SIZES
    width_factor: float = 1.0
    widen_ends: bool = True
    squeeze_excite: bool = True
    activation: Callable[[jax.Array], jax.Array] = nn.silu
    padding: str = "symmetric"
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9
    stochastic_depth: float = 0.0
    dropout: float = 0.2
    remat: bool = False
    folded: bool = False

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 32."""
        layers.require_size(image, at_least=32)
        dtype = jnp.dtype(self.dtype)
        conv = functools.partial(
            layers.conv,
            form=self.form,
            padding=self.padding,
            use_bias=self.folded,
            dtype=dtype,
            kernel_init=layers.he_normal,
        )
        norm = layers.batch_norm(
            train=train,
            form=self.form,
            folded=self.folded,
            epsilon=self.norm_epsilon,
            momentum=self.norm_momentum,
            dtype=dtype,
        )
        block = layers.remat_if(self.remat, MBConvBlock)
        drop_rates = layers.drop_rates(self.stochastic_depth, sum(self.stage_sizes))
        ends_factor = self.width_factor if self.widen_ends else 1.0

        x = layers.normalize(image, self.mean, self.std, dtype)
        x = conv(_widened(_STEM_WIDTH, ends_factor), 3, 2, name="conv_stem")(x)
        x = self.activation(norm(name="bn_stem")(x))
        for stage, num_blocks in enumerate(self.stage_sizes):
            for index in range(num_blocks):
                x = block(
                    filters=_widened(_WIDTHS[stage], self.width_factor),
                    expansion=EXPANSIONS[stage],
                    kernel=_KERNELS[stage],
                    strides=_STRIDES[stage] if index == 0 else 1,
                    drop_rate=next(drop_rates),
                    squeeze_excite=self.squeeze_excite,
                    activation=self.activation,
                    conv=conv,
                    norm=norm,
                    dtype=dtype,
                    name=f"stage{stage + 1}_block{index + 1}",
                )(x, train)
        x = conv(_widened(_LAST_WIDTH, ends_factor), 1, name="conv_last")(x)
        x = self.activation(norm(name="bn_last")(x))
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)


def _widened(channels: int, factor: float) -> int:
    """`channels` times `factor`, rounded to a multiple of 8 that is not more than 10% less."""
    exact = channels * factor
    rounded = max(8, math.floor(exact / 8 + 0.5) * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


_PYTORCH_NORM = {"norm_epsilon": 1e-5, "norm_momentum": 0.9}
_TENSORFLOW_NORM = {"norm_epsilon": 1e-3, "norm_momentum": 0.99}
_LITE = {**BY_LITE, "widen_ends": False, "squeeze_excite": False, "activation": nn.relu6}
# Width and depth as multiples of B0's, side of the input and dropout as in the authors' code; and
# the norm that torchvision trains with.
_VARIANTS = {
    "b0": (1.0, 1.0, 224, 0.2, _PYTORCH_NORM),
    "b1": (1.0, 1.1, 240, 0.2, _PYTORCH_NORM),
    "b2": (1.1, 1.2, 260, 0.3, _PYTORCH_NORM),
    "b3": (1.2, 1.4, 300, 0.3, _PYTORCH_NORM),
    "b4": (1.4, 1.8, 380, 0.4, _PYTORCH_NORM),
    "b5": (1.6, 2.2, 456, 0.4, _TENSORFLOW_NORM),
    "b6": (1.8, 2.6, 528, 0.5, _TENSORFLOW_NORM),
    "b7": (2.0, 3.1, 600, 0.5, _TENSORFLOW_NORM),
}


def _models() -> dict[str, dict[str, Any]]:
    """The fields of every model, by its name."""
    models = {}
    for variant, (width, depth, size, dropout, norm) in _VARIANTS.items():
        fields = {
            "stage_sizes": tuple(math.ceil(num_blocks * depth) for num_blocks in _STAGE_SIZES),
            "width_factor": width,
            "native_size": size,
            "dropout": dropout,
        }
        models[f"efficientnet_{variant}"] = {**fields, **norm}
        models[f"tf_efficientnet_{variant}"] = {**fields, **_TENSORFLOW_NORM, "padding": "same"}
    for number in range(3):
        fields = models[f"tf_efficientnet_b{number}"]
        inner = fields["stage_sizes"][1:-1]
        sizes = (_STAGE_SIZES[0], *inner, _STAGE_SIZES[-1])
        models[f"efficientnet_lite{number}"] = {**fields, **_LITE, "stage_sizes": sizes}
    return models


backbone.register(EfficientNet, _models())
