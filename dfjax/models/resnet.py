"""ResNet v1.5: the residual networks every detection paper compares with.

He et al., "Deep Residual Learning for Image Recognition" (arXiv:1512.03385), with the stride of a
bottleneck on its 3x3 convolution ("v1.5", as torchvision and NVIDIA train it).
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax import registry
from dfjax.models import layers

_he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; ResNet-18 and -34."""

    filters: int
    strides: int
    conv: Callable
    norm: Callable
    last_scale: Callable
    expansion = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv(self.filters, 3, self.strides, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.conv(self.filters, 3, name="conv2")(y)
        y = self.norm(name="bn2", scale_init=self.last_scale)(y)
        if x.shape != y.shape:
            x = self.conv(self.filters, 1, self.strides, name="conv_shortcut")(x)
            x = self.norm(name="bn_shortcut")(x)
        return nn.relu(x + y)


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, four times wider at the end, and a shortcut; ResNet-50 on."""

    filters: int
    strides: int
    conv: Callable
    norm: Callable
    last_scale: Callable
    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = self.filters * self.expansion
        y = self.conv(self.filters, 1, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.conv(self.filters, 3, self.strides, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y))
        y = self.conv(width, 1, name="conv3")(y)
        y = self.norm(name="bn3", scale_init=self.last_scale)(y)
        if x.shape != y.shape:
            x = self.conv(width, 1, self.strides, name="conv_shortcut")(x)
            x = self.norm(name="bn_shortcut")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A residual network that ends in one logit of "fake".

    Attributes:
      stage_sizes: residual blocks per stage; the resolution halves between stages.
      block: `BasicBlock` or `BottleneckBlock`.
      width: channels of the stem and of the first stage's 3x3 convolutions.
      dtype: compute type of the convolutions ("float32" or "bfloat16"); parameters, statistics,
        the head and the logit stay in float32.
      zero_init_residual: start the last norm of every block at zero, so that a block begins as
        the identity (Goyal et al., arXiv:1706.02677).
      dropout: rate before the head.
      folded: the norms are part of the convolutions (`models.fold`); for inference only.
      mean, std: per-channel constants of the preprocessing, in the 0..1 range of RGB.
    """

    stage_sizes: Sequence[int]
    block: type[nn.Module]
    width: int = 64
    dtype: str = "float32"
    zero_init_residual: bool = True
    dropout: float = 0.0
    folded: bool = False
    mean: tuple[float, float, float] = layers.IMAGENET_MEAN
    std: tuple[float, float, float] = layers.IMAGENET_STD

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 32."""
        dtype = jnp.dtype(self.dtype)
        conv = functools.partial(
            layers.conv, dtype=dtype, kernel_init=_he_normal, use_bias=self.folded
        )
        norm = functools.partial(layers.BatchNorm, use_running_average=not train, dtype=dtype)
        norm = layers.folded_norm if self.folded else norm
        last_scale = nn.initializers.zeros if self.zero_init_residual else nn.initializers.ones

        x = layers.normalize(image, self.mean, self.std, dtype)
        x = conv(self.width, 7, 2, name="conv_stem")(x)
        x = nn.relu(norm(name="bn_stem")(x))
        # Padded apart, because jax2onnx drops the padding of a pool; XLA joins the two again.
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
        x = nn.max_pool(x, window_shape=(3, 3), strides=(2, 2))
        for stage, num_blocks in enumerate(self.stage_sizes):
            for index in range(num_blocks):
                x = self.block(
                    filters=self.width * 2**stage,
                    strides=2 if stage > 0 and index == 0 else 1,
                    conv=conv,
                    norm=norm,
                    last_scale=last_scale,
                    name=f"stage{stage + 1}_block{index + 1}",
                )(x)
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(dropout=self.dropout, name="head")(x, train=train)


@registry.register("model", "resnet18")
def resnet18(**kwargs) -> ResNet:
    return ResNet(stage_sizes=(2, 2, 2, 2), block=BasicBlock, **kwargs)


@registry.register("model", "resnet34")
def resnet34(**kwargs) -> ResNet:
    return ResNet(stage_sizes=(3, 4, 6, 3), block=BasicBlock, **kwargs)


@registry.register("model", "resnet50")
def resnet50(**kwargs) -> ResNet:
    return ResNet(stage_sizes=(3, 4, 6, 3), block=BottleneckBlock, **kwargs)


@registry.register("model", "resnet101")
def resnet101(**kwargs) -> ResNet:
    return ResNet(stage_sizes=(3, 4, 23, 3), block=BottleneckBlock, **kwargs)


@registry.register("model", "resnet152")
def resnet152(**kwargs) -> ResNet:
    return ResNet(stage_sizes=(3, 8, 36, 3), block=BottleneckBlock, **kwargs)
