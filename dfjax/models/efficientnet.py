"""EfficientNet: the backbone of most winning deepfake detectors.

Tan and Le, "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946). Weights of B0 to B7 are
published in two forms:

- `efficientnet_b*` as torchvision: symmetric padding; BatchNorm with epsilon 1e-5 and momentum 0.9,
  from B5 on 1e-3 and 0.99. timm's weights of the same names fit B0 to B4 as they are; timm keeps
  the epsilon of 1e-5 from B5 on, so those need `norm_epsilon=1e-5`.
- `tf_efficientnet_b*` as the original in TensorFlow and timm's copies of it, among them Noisy
  Student (arXiv:1911.04252): padding "SAME", epsilon 1e-3, momentum 0.99.

Parameters with this head: B0 4.0 M, B1 6.5 M, B2 7.7 M, B3 10.7 M, B4 17.5 M, B5 28.3 M, B6 40.7 M,
B7 63.8 M. ImageNet mean and standard deviation (timm's AdvProp weights, "ap": 0.5 and 0.5). Dropout
defaults to the published rate, stochastic depth to 0; the papers train with 0.2. torchvision
trains its B2 on 288 px.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers

# Table 1 of the paper, by stage: how much a block widens inside, the side of its depthwise kernel,
# the stride of its first block, channels and blocks of B0.
_EXPANSIONS = (1, 6, 6, 6, 6, 6, 6)
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_WIDTHS = (16, 24, 40, 80, 112, 192, 320)
_STAGE_SIZES = (1, 2, 2, 3, 3, 4, 1)
_STEM_WIDTH, _LAST_WIDTH = 32, 1280

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
      conv, norm: of the network.
      dtype: compute type.
    """

    filters: int
    expansion: int
    kernel: int
    strides: int
    drop_rate: float
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
            y = nn.silu(self.norm(name="bn_expand")(y))
        y = self.conv(
            inner,
            self.kernel,
            self.strides,
            feature_group_count=inner,
            kernel_init=_he_normal_depthwise,
            name="conv_depthwise",
        )(y)
        y = nn.silu(self.norm(name="bn_depthwise")(y))
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
      padding: of all convolutions, "symmetric" or "same" (`layers.conv`).
      norm_momentum: share of the old statistics that a BatchNorm keeps at every update.
    """

    stage_sizes: Sequence[int] = _STAGE_SIZES
    width_factor: float = 1.0
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

        x = layers.normalize(image, self.mean, self.std, dtype)
        x = conv(_widened(_STEM_WIDTH, self.width_factor), 3, 2, name="conv_stem")(x)
        x = nn.silu(norm(name="bn_stem")(x))
        for stage, num_blocks in enumerate(self.stage_sizes):
            for index in range(num_blocks):
                x = block(
                    filters=_widened(_WIDTHS[stage], self.width_factor),
                    expansion=_EXPANSIONS[stage],
                    kernel=_KERNELS[stage],
                    strides=_STRIDES[stage] if index == 0 else 1,
                    drop_rate=next(drop_rates),
                    conv=conv,
                    norm=norm,
                    dtype=dtype,
                    name=f"stage{stage + 1}_block{index + 1}",
                )(x, train)
        x = conv(_widened(_LAST_WIDTH, self.width_factor), 1, name="conv_last")(x)
        x = nn.silu(norm(name="bn_last")(x))
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(dropout=self.dropout, name="head")(x, train=train)


def _widened(channels: int, factor: float) -> int:
    """`channels` times `factor`, rounded to a multiple of 8 that is not more than 10% less."""
    exact = channels * factor
    rounded = max(8, math.floor(exact / 8 + 0.5) * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


_PYTORCH_NORM = {"norm_epsilon": 1e-5, "norm_momentum": 0.9}
_TENSORFLOW_NORM = {"norm_epsilon": 1e-3, "norm_momentum": 0.99}
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
    return models


backbone.register(EfficientNet, _models())


@key_names.register(EfficientNet, "torchvision", layers.BY_IMAGENET)
def _torchvision_names(model: EfficientNet) -> key_names.Names:
    names: key_names.Names = {"classifier.1": None}

    def add(theirs: str, ours: str, suffix: str) -> None:
        names[f"{theirs}.0"] = f"{ours}conv_{suffix}"
        names[f"{theirs}.1"] = f"{ours}bn_{suffix}"

    add("features.0", "", "stem")
    add(f"features.{len(model.stage_sizes) + 1}", "", "last")
    for stage, num_blocks in enumerate(model.stage_sizes, 1):
        for index in range(num_blocks):
            theirs, ours = f"features.{stage}.{index}.block", f"stage{stage}_block{index + 1}/"
            first = 0
            if _EXPANSIONS[stage - 1] > 1:
                add(f"{theirs}.0", ours, "expand")
                first = 1
            add(f"{theirs}.{first}", ours, "depthwise")
            names[f"{theirs}.{first + 1}.fc1"] = f"{ours}squeeze_excite/reduce"
            names[f"{theirs}.{first + 1}.fc2"] = f"{ours}squeeze_excite/expand"
            add(f"{theirs}.{first + 2}", ours, "project")
    return names


@key_names.register(EfficientNet, "timm")
def _timm_names(model: EfficientNet) -> key_names.Names:
    names: key_names.Names = {
        "conv_stem": "conv_stem",
        "bn1": "bn_stem",
        "conv_head": "conv_last",
        "bn2": "bn_last",
        "classifier": None,
    }
    for stage, num_blocks in enumerate(model.stage_sizes):
        # The convolutions in their order, whose norms are numbered.
        convs = {"conv_pw": "expand", "conv_dw": "depthwise", "conv_pwl": "project"}
        if _EXPANSIONS[stage] == 1:
            convs = {"conv_dw": "depthwise", "conv_pw": "project"}
        for index in range(num_blocks):
            theirs, ours = f"blocks.{stage}.{index}", f"stage{stage + 1}_block{index + 1}"
            for number, (conv, suffix) in enumerate(convs.items(), 1):
                names[f"{theirs}.{conv}"] = f"{ours}/conv_{suffix}"
                names[f"{theirs}.bn{number}"] = f"{ours}/bn_{suffix}"
            names[f"{theirs}.se.conv_reduce"] = f"{ours}/squeeze_excite/reduce"
            names[f"{theirs}.se.conv_expand"] = f"{ours}/squeeze_excite/expand"
    return names
