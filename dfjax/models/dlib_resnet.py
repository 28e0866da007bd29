"""The network of dlib's face recognition, a ResNet of 29 convolutions: 5.6 million parameters.

Davis King, "High Quality Face Recognition with Deep Metric Learning" (2017), in dlib's example
dnn_face_recognition_ex.cpp; the residual network is that of He et al. (arXiv:1512.03385) with fewer
layers and half the filters. Its weights (CC0) come with the package `face_recognition_models`. They
take aligned faces of 150x150 pixels, normalized by (pixel - mean) / 256 in the range 0..255. The
embedding is dlib's descriptor of a face [128]: two of one person lie less than 0.6 apart.

dlib pads no convolution and no pool that has a stride; where a branch and its shortcut then differ
in size, or in channels, it pads the smaller with zeros at the end. Its norms are frozen into the
convolutions, so this network has none and is meant for fine-tuning from these weights.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers, pooling


class Block(nn.Module):
    """Two 3x3 convolutions, and a shortcut without parameters.

    Attributes:
      filters: channels of both convolutions.
      downsample: halve the resolution.
      drop_rate: of the residual branch, see `layers.StochasticDepth`.
      dtype: compute type.
      form: of the network.
      last_init: initializer of the second convolution's kernel.
    """

    filters: int
    downsample: bool
    drop_rate: float
    dtype: jnp.dtype
    form: str
    last_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        conv = functools.partial(_conv, self.filters, 3, form=self.form, dtype=self.dtype)
        y = nn.relu(conv(strides=2 if self.downsample else 1, name="conv1")(x))
        y = conv(kernel_init=self.last_init, name="conv2")(y)
        y = layers.StochasticDepth(self.drop_rate)(y, train=train)
        if self.downsample:
            x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        return nn.relu(_pad_to(x, y.shape) + _pad_to(y, x.shape))


class DlibResNet(backbone.Backbone):
    """dlib's face recognition network, ending in one logit of "fake".

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stage_sizes: residual blocks per stage; the resolution halves between stages.
      widths: channels of each stage; the first is that of the stem.
      embedding_size: length of the descriptor.
      zero_init_residual: start the last convolution of every block at zero: without norms, blocks
        that begin as the identity keep a network trained from scratch from exploding
        (arXiv:1901.09321).
    """

    stage_sizes: Sequence[int] = (3, 4, 3, 3, 1)
    widths: Sequence[int] = (32, 64, 128, 256, 256)
    embedding_size: int = 128
    zero_init_residual: bool = True
    stochastic_depth: float = 0.0
    native_size: int = 150
    mean: tuple[float, float, float] = (122.782 / 255, 117.001 / 255, 104.298 / 255)
    std: tuple[float, float, float] = (256 / 255, 256 / 255, 256 / 255)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 103."""
        layers.require_size(image, at_least=self._least_size())
        dtype = jnp.dtype(self.dtype)
        last_init = nn.initializers.zeros if self.zero_init_residual else layers.he_normal
        stages = zip(self.stage_sizes, self.widths, strict=True)
        drop_rates = layers.drop_rates(self.stochastic_depth, sum(self.stage_sizes))

        x = layers.normalize(image, self.mean, self.std, dtype)
        x = nn.relu(_conv(self.widths[0], 7, 2, form=self.form, dtype=dtype, name="conv_stem")(x))
        x = pooling.max_pool(x, 3, 2, form=self.form)
        for stage, (num_blocks, filters) in enumerate(stages, 1):
            for index in range(num_blocks):
                x = Block(
                    filters=filters,
                    downsample=stage > 1 and index == 0,
                    drop_rate=next(drop_rates),
                    dtype=dtype,
                    form=self.form,
                    last_init=last_init,
                    name=f"stage{stage}_block{index + 1}",
                )(x, train)
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        x = nn.Dense(self.embedding_size, use_bias=False, dtype=jnp.float32, name="descriptor")(x)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)

    def _least_size(self) -> int:
        """The smallest side at which every convolution has a whole window."""
        side = 1
        for _ in self.stage_sizes[1:]:
            side = max(3, 2 * side)
        return 2 * (2 * side) + 7


def _conv(filters: int, kernel: int, strides: int = 1, **kwargs: Any) -> nn.Conv:
    padding = "symmetric" if strides == 1 else "valid"
    kwargs = {"kernel_init": layers.he_normal, **kwargs}
    return layers.conv(filters, kernel, strides, padding=padding, use_bias=True, **kwargs)


def _pad_to(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """x [B, H, W, C] with zeros at its ends, where it is smaller than `shape`."""
    missing = [max(new - old, 0) for old, new in zip(x.shape, shape, strict=True)]
    return jnp.pad(x, [(0, count) for count in missing]) if any(missing) else x


@key_names.register(DlibResNet, "dlib")
def _dlib_names(model: DlibResNet) -> key_names.Names:
    """`weights.dlib_file` counts convolutions from the input."""
    paths = ["conv_stem"]
    for stage, num_blocks in enumerate(model.stage_sizes, 1):
        for index in range(num_blocks):
            block = f"stage{stage}_block{index + 1}"
            paths += [f"{block}/conv1", f"{block}/conv2"]
    names = {f"con{number}": path for number, path in enumerate(paths, 1)}
    return {**names, "fc1": "descriptor"}


backbone.register(DlibResNet, {"dlib_resnet": {}})
