"""Xception: depthwise separable convolutions; the baseline of FaceForensics++.

Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (arXiv:1610.02357);
Roessler et al., "FaceForensics++" (arXiv:1901.08971), made it the standard baseline of detectors.
20.8 M parameters with this head. Weights of timm's `legacy_xception` fit: 299 px, mean and
standard deviation 0.5. As there, and unlike in Keras, poolings are padded equally on both sides and
the BatchNorms have an epsilon of 1e-5.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers, pooling


class SeparableBlock(nn.Module):
    """A depthwise 3x3 and a pointwise convolution for each of `widths`, and a shortcut.

    Attributes:
      widths: channels after each pointwise convolution.
      downsample: halve the resolution at the end.
      activate_first: begin with an activation; the input of the first block already had one.
      drop_rate: of the residual branch, see `layers.StochasticDepth`.
      conv, norm, form: of the network.
    """

    widths: Sequence[int]
    downsample: bool
    activate_first: bool
    drop_rate: float
    conv: Callable
    norm: Callable
    form: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        y = x
        for number, width in enumerate(self.widths, 1):
            if self.activate_first or number > 1:
                y = nn.relu(y)
            y = _separable(y, width, number, self.conv, self.norm)
        if self.downsample:
            y = pooling.max_pool(y, 3, 2, padding=((1, 1), (1, 1)), form=self.form)
            x = self.conv(self.widths[-1], 1, 2, name="conv_shortcut")(x)
            x = self.norm(name="bn_shortcut")(x)
        return x + layers.StochasticDepth(self.drop_rate)(y, train=train)


class Xception(backbone.Backbone):
    """Entry, middle and exit flow, ending in one logit of "fake".

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stem_widths: channels of the two ordinary convolutions that come first.
      entry_widths: channels of the entry flow's blocks, each of which halves the resolution.
      middle_blocks: blocks at the resolution and width where the entry flow ends.
      exit_widths: channels of the last block and of the two separable convolutions after it.
    """

    stem_widths: Sequence[int] = (32, 64)
    entry_widths: Sequence[int] = (128, 256, 728)
    middle_blocks: int = 8
    exit_widths: Sequence[int] = (1024, 1536, 2048)
    stochastic_depth: float = 0.0
    remat: bool = False
    norm_epsilon: float = 1e-5
    folded: bool = False
    native_size: int = 299
    mean: tuple[float, float, float] = layers.INCEPTION_MEAN
    std: tuple[float, float, float] = layers.INCEPTION_STD

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
        block = layers.remat_if(self.remat, SeparableBlock)

        x = layers.normalize(image, self.mean, self.std, dtype)
        for number, (width, strides) in enumerate(zip(self.stem_widths, (2, 1), strict=True), 1):
            x = conv(width, 3, strides, padding="valid", name=f"conv{number}")(x)
            x = nn.relu(norm(name=f"bn{number}")(x))
        block_widths = _block_widths(self)
        drop_rates = layers.drop_rates(self.stochastic_depth, len(block_widths))
        for index, widths in enumerate(block_widths):
            x = block(
                widths=widths,
                downsample=len(widths) == 2,
                activate_first=index > 0,
                drop_rate=next(drop_rates),
                conv=conv,
                norm=norm,
                form=self.form,
                name=f"block{index + 1}",
            )(x, train)
        for number, width in enumerate(self.exit_widths[1:], 3):
            x = nn.relu(_separable(x, width, number, conv, norm))
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)


def _separable(x: jax.Array, width: int, number: int, conv: Callable, norm: Callable) -> jax.Array:
    """A depthwise and a pointwise convolution without an activation in between, and a norm."""
    channels = x.shape[-1]
    depthwise = functools.partial(conv, feature_group_count=channels, use_bias=False)
    x = depthwise(channels, 3, name=f"depthwise{number}")(x)
    x = conv(width, 1, name=f"conv{number}")(x)
    return norm(name=f"bn{number}")(x)


def _block_widths(model: Xception) -> list[tuple[int, ...]]:
    """The widths within every block; those of two convolutions halve the resolution."""
    middle = model.entry_widths[-1]
    return [
        *((width, width) for width in model.entry_widths),
        *((middle,) * 3 for _ in range(model.middle_blocks)),
        (middle, model.exit_widths[0]),
    ]


backbone.register(Xception, {"xception": {}})


@key_names.register(Xception, "timm", layers.BY_INCEPTION)
def _timm_names(model: Xception) -> key_names.Names:
    names: key_names.Names = {"fc": None}
    for number in (1, 2):
        names[f"conv{number}"] = f"conv{number}"
    for number in (3, 4):
        names[f"conv{number}.conv1"] = f"depthwise{number}"
        names[f"conv{number}.pointwise"] = f"conv{number}"
    for number in (1, 2, 3, 4):
        names[f"bn{number}"] = f"bn{number}"
    for index, widths in enumerate(_block_widths(model)):
        block = f"block{index + 1}"
        for number in range(1, len(widths) + 1):
            # Activation, convolution and norm alternate; the first block begins without the first.
            place = 3 * number - 2 - (index == 0)
            names[f"{block}.rep.{place}.conv1"] = f"{block}/depthwise{number}"
            names[f"{block}.rep.{place}.pointwise"] = f"{block}/conv{number}"
            names[f"{block}.rep.{place + 1}"] = f"{block}/bn{number}"
        if len(widths) == 2:
            names[f"{block}.skip"] = f"{block}/conv_shortcut"
            names[f"{block}.skipbn"] = f"{block}/bn_shortcut"
    return names
