"""ResNet v1.5 and ResNeXt: the residual networks that every detection paper compares with.

He et al., "Deep Residual Learning for Image Recognition" (arXiv:1512.03385), with the stride of a
bottleneck on its 3x3 convolution ("v1.5", as torchvision and NVIDIA train it); Xie et al.,
"Aggregated Residual Transformations" (arXiv:1611.05431), which splits that convolution into groups.

Parameters with this head: ResNet-18 11.2 M, -34 21.3 M, -50 23.5 M, -101 42.5 M, -152 58.1 M,
ResNeXt-50 32x4d 23.0 M, ResNeXt-101 32x8d 86.7 M. Weights of torchvision and timm fit: 224 px,
ImageNet mean and standard deviation.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers, pooling


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; ResNet-18 and -34.

    Attributes:
      filters: channels of the output, divided by `expansion`.
      inner: channels between the convolutions.
      groups: of the 3x3 convolutions.
      strides: factor by which the block shrinks its input.
      drop_rate: of the residual branch, see `layers.StochasticDepth`.
      conv, norm: of the network.
      last_scale: initial scale of the last norm.
    """

    filters: int
    inner: int
    groups: int
    strides: int
    drop_rate: float
    conv: Callable
    norm: Callable
    last_scale: Callable
    expansion = 1
    convolutions = 2

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        conv3x3 = functools.partial(self.conv, kernel=3, feature_group_count=self.groups)
        y = conv3x3(self.inner, strides=self.strides, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = conv3x3(self.filters, name="conv2")(y)
        y = self.norm(name="bn2", scale_init=self.last_scale)(y)
        return _join(self, x, y, train)


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, four times wider at the end, and a shortcut; ResNet-50 on.

    `BasicBlock` explains the other fields.

    Attributes:
      inner: channels of the 3x3 convolution.
    """

    filters: int
    inner: int
    groups: int
    strides: int
    drop_rate: float
    conv: Callable
    norm: Callable
    last_scale: Callable
    expansion = 4
    convolutions = 3

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = self.conv(self.inner, 1, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.conv(self.inner, 3, self.strides, feature_group_count=self.groups, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y))
        y = self.conv(self.filters * self.expansion, 1, name="conv3")(y)
        y = self.norm(name="bn3", scale_init=self.last_scale)(y)
        return _join(self, x, y, train)


def _join(
    block: BasicBlock | BottleneckBlock, x: jax.Array, branch: jax.Array, train: bool
) -> jax.Array:
    """The end of a block: the residual branch plus x, which is brought to the branch's shape."""
    if x.shape != branch.shape:
        x = block.conv(branch.shape[-1], 1, block.strides, name="conv_shortcut")(x)
        x = block.norm(name="bn_shortcut")(x)
    return nn.relu(x + layers.StochasticDepth(block.drop_rate)(branch, train=train))


class ResNet(backbone.Backbone):
    """A residual network that ends in one logit of "fake".

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stage_sizes: residual blocks per stage; the resolution halves between stages.
      block: `BasicBlock` or `BottleneckBlock`.
      width: channels of the stem and of the first stage.
      groups: of the 3x3 convolutions; 32 in a ResNeXt.
      width_per_group: channels of a group in the first stage of a network of width 64.
      zero_init_residual: start the last norm of every block at zero, so that a block begins as
        the identity (Goyal et al., arXiv:1706.02677).
    """

    stage_sizes: Sequence[int]
    block: type[nn.Module]
    width: int = 64
    groups: int = 1
    width_per_group: int = 64
    zero_init_residual: bool = True
    stochastic_depth: float = 0.0
    remat: bool = False
    norm_epsilon: float = 1e-5
    folded: bool = False

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 32."""
        layers.require_size(image, at_least=32)
        dtype = jnp.dtype(self.dtype)
        conv = functools.partial(
            layers.conv,
            form=self.form,
            dtype=dtype,
            kernel_init=layers.he_normal,
            use_bias=self.folded,
        )
        norm = layers.batch_norm(
            train=train, form=self.form, folded=self.folded, epsilon=self.norm_epsilon, dtype=dtype
        )
        last_scale = nn.initializers.zeros if self.zero_init_residual else nn.initializers.ones
        block = layers.remat_if(self.remat, self.block)
        drop_rates = layers.drop_rates(self.stochastic_depth, sum(self.stage_sizes))

        x = layers.normalize(image, self.mean, self.std, dtype)
        x = conv(self.width, 7, 2, name="conv_stem")(x)
        x = nn.relu(norm(name="bn_stem")(x))
        x = pooling.max_pool(x, 3, 2, padding=((1, 1), (1, 1)), form=self.form)
        for stage, num_blocks in enumerate(self.stage_sizes):
            filters = self.width * 2**stage
            for index in range(num_blocks):
                x = block(
                    filters=filters,
                    inner=filters * self.width_per_group * self.groups // 64,
                    groups=self.groups,
                    strides=2 if stage > 0 and index == 0 else 1,
                    drop_rate=next(drop_rates),
                    conv=conv,
                    norm=norm,
                    last_scale=last_scale,
                    name=f"stage{stage + 1}_block{index + 1}",
                )(x, train)
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)


backbone.register(
    ResNet,
    {
        "resnet18": {"block": BasicBlock, "stage_sizes": (2, 2, 2, 2)},
        "resnet34": {"block": BasicBlock, "stage_sizes": (3, 4, 6, 3)},
        "resnet50": {"block": BottleneckBlock, "stage_sizes": (3, 4, 6, 3)},
        "resnet101": {"block": BottleneckBlock, "stage_sizes": (3, 4, 23, 3)},
        "resnet152": {"block": BottleneckBlock, "stage_sizes": (3, 8, 36, 3)},
        "resnext50": {
            "block": BottleneckBlock,
            "stage_sizes": (3, 4, 6, 3),
            "groups": 32,
            "width_per_group": 4,
        },
        "resnext101": {
            "block": BottleneckBlock,
            "stage_sizes": (3, 4, 23, 3),
            "groups": 32,
            "width_per_group": 8,
        },
    },
)


@key_names.register(ResNet, "torchvision, timm")
def _torchvision_names(model: ResNet) -> key_names.Names:
    names: key_names.Names = {"conv1": "conv_stem", "bn1": "bn_stem", "fc": None}
    for stage, num_blocks in enumerate(model.stage_sizes, 1):
        for index in range(num_blocks):
            theirs, ours = f"layer{stage}.{index}", f"stage{stage}_block{index + 1}"
            for number in range(1, model.block.convolutions + 1):
                for kind in ("conv", "bn"):
                    names[f"{theirs}.{kind}{number}"] = f"{ours}/{kind}{number}"
            if index == 0 and (stage > 1 or model.block.expansion > 1):
                names[f"{theirs}.downsample.0"] = f"{ours}/conv_shortcut"
                names[f"{theirs}.downsample.1"] = f"{ours}/bn_shortcut"
    return names
