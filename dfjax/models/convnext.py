"""ConvNeXt: a convolutional network built like a transformer.

Liu et al., "A ConvNet for the 2020s" (arXiv:2201.03545). Parameters with this head: tiny 27.8 M,
small 49.5 M, base 87.6 M. Weights of torchvision and timm fit: 224 px, ImageNet mean and standard
deviation. Stochastic depth defaults to 0; the paper trains tiny with 0.1, small with 0.4 and base
with 0.5. Its norms are LayerNorms, which cannot be folded.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers

_truncated_normal = nn.initializers.truncated_normal(0.02)
# The fast variance, E[x²] - E[x]², loses its digits where the mean is large.
_LayerNorm = functools.partial(nn.LayerNorm, epsilon=1e-6, use_fast_variance=False)


class ConvNeXtBlock(nn.Module):
    """A 7x7 depthwise convolution, then a perceptron at every position, four times wider inside.

    Attributes:
      drop_rate: of the branch, see `layers.StochasticDepth`.
      layer_scale: initial value of the factor of every channel of the branch.
      dtype: compute type.
      form: of the network.
    """

    drop_rate: float
    layer_scale: float
    dtype: jnp.dtype
    form: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        width = x.shape[-1]
        dense = functools.partial(
            layers.dense, form=self.form, dtype=self.dtype, kernel_init=_truncated_normal
        )
        y = layers.conv(
            width,
            7,
            form=self.form,
            use_bias=True,
            feature_group_count=width,
            dtype=self.dtype,
            kernel_init=_truncated_normal,
            name="conv_depthwise",
        )(x)
        y = _LayerNorm(dtype=self.dtype, name="norm")(y)
        y = nn.gelu(dense(4 * width, name="fc1")(y), approximate=False)
        y = dense(width, name="fc2")(y)
        scale = self.param("layer_scale", nn.initializers.constant(self.layer_scale), (width,))
        y = y * scale.astype(self.dtype).reshape(1, 1, 1, -1)
        return x + layers.StochasticDepth(self.drop_rate)(y, train=train)


class ConvNeXt(backbone.Backbone):
    """Stages of `ConvNeXtBlock`s that end in one logit of "fake".

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stage_sizes: blocks per stage; the resolution halves between stages.
      width: channels of the first stage; they double between stages.
      layer_scale: initial value of the factor of every channel of a branch.
    """

    stage_sizes: Sequence[int]
    width: int
    layer_scale: float = 1e-6
    stochastic_depth: float = 0.0
    remat: bool = False

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 32.

        Pixels beyond a multiple of 32, at the right and at the bottom, are not seen.
        """
        layers.require_size(image, at_least=32)
        dtype = jnp.dtype(self.dtype)
        block = layers.remat_if(self.remat, ConvNeXtBlock)
        drop_rates = layers.drop_rates(self.stochastic_depth, sum(self.stage_sizes))

        x = layers.normalize(image, self.mean, self.std, dtype)
        patches = functools.partial(
            layers.conv,
            form=self.form,
            padding="valid",
            use_bias=True,
            dtype=dtype,
            kernel_init=_truncated_normal,
        )
        x = patches(self.width, 4, 4, name="conv_stem")(x)
        x = _LayerNorm(dtype=dtype, name="norm_stem")(x)
        for stage, num_blocks in enumerate(self.stage_sizes, 1):
            if stage > 1:
                x = _LayerNorm(dtype=dtype, name=f"norm_stage{stage}")(x)
                x = patches(2 * x.shape[-1], 2, 2, name=f"conv_stage{stage}")(x)
            for index in range(num_blocks):
                x = block(
                    drop_rate=next(drop_rates),
                    layer_scale=self.layer_scale,
                    dtype=dtype,
                    form=self.form,
                    name=f"stage{stage}_block{index + 1}",
                )(x, train)
        x = layers.expose_features(self, x)
        x = jnp.mean(x, axis=(1, 2), dtype=jnp.float32)
        x = _LayerNorm(name="norm")(x)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)


backbone.register(
    ConvNeXt,
    {
        "convnext_tiny": {"stage_sizes": (3, 3, 9, 3), "width": 96},
        "convnext_small": {"stage_sizes": (3, 3, 27, 3), "width": 96},
        "convnext_base": {"stage_sizes": (3, 3, 27, 3), "width": 128},
    },
)


@key_names.register(ConvNeXt, "torchvision", layers.BY_IMAGENET)
def _torchvision_names(model: ConvNeXt) -> key_names.Names:
    names: key_names.Names = {
        "features.0.0": "conv_stem",
        "features.0.1": "norm_stem",
        "classifier.0": "norm",
        "classifier.2": None,
    }
    for stage, num_blocks in enumerate(model.stage_sizes, 1):
        if stage > 1:
            names[f"features.{2 * stage - 2}.0"] = f"norm_stage{stage}"
            names[f"features.{2 * stage - 2}.1"] = f"conv_stage{stage}"
        for index in range(num_blocks):
            theirs, ours = f"features.{2 * stage - 1}.{index}", f"stage{stage}_block{index + 1}"
            names[f"{theirs}.layer_scale"] = f"{ours}/layer_scale"
            for number, layer in ((0, "conv_depthwise"), (2, "norm"), (3, "fc1"), (5, "fc2")):
                names[f"{theirs}.block.{number}"] = f"{ours}/{layer}"
    return names


@key_names.register(ConvNeXt, "timm")
def _timm_names(model: ConvNeXt) -> key_names.Names:
    names: key_names.Names = {
        "stem.0": "conv_stem",
        "stem.1": "norm_stem",
        "head.norm": "norm",
        "head.fc": None,
    }
    for stage, num_blocks in enumerate(model.stage_sizes):
        if stage > 0:
            names[f"stages.{stage}.downsample.0"] = f"norm_stage{stage + 1}"
            names[f"stages.{stage}.downsample.1"] = f"conv_stage{stage + 1}"
        for index in range(num_blocks):
            theirs, ours = f"stages.{stage}.blocks.{index}", f"stage{stage + 1}_block{index + 1}"
            names[f"{theirs}.gamma"] = f"{ours}/layer_scale"
            names[f"{theirs}.conv_dw"] = f"{ours}/conv_depthwise"
            names[f"{theirs}.norm"] = f"{ours}/norm"
            names[f"{theirs}.mlp.fc1"] = f"{ours}/fc1"
            names[f"{theirs}.mlp.fc2"] = f"{ours}/fc2"
    return names
