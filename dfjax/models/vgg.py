"""VGG: plain stacks of 3x3 convolutions, the oldest network that papers still compare with.

Simonyan and Zisserman, "Very Deep Convolutional Networks" (arXiv:1409.1556), configurations A, B,
D and E, with and without BatchNorm, as torchvision builds them. Parameters with this head:
128.8 M (11 layers), 129.0 M (13), 134.3 M (16) and 139.6 M (19), of which the first of the fully
connected layers holds 102.8 M. Weights of torchvision fit: 224 px, ImageNet mean and standard
deviation.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers, pooling

_narrow_normal = nn.initializers.normal(0.01)


class VGG(backbone.Backbone):
    """Five stages of convolutions, a 7x7 grid of their averages, two dense layers, one logit.

    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stage_sizes: 3x3 convolutions per stage; every stage ends by halving the resolution.
      batch_norm: a BatchNorm after every convolution.
      width: channels of the first stage; they double per stage up to 8 times that. The dense
        layers have 64 times as many.
      dropout: rate before the second dense layer and before the head.
    """

    stage_sizes: Sequence[int]
    batch_norm: bool
    width: int = 64
    dropout: float = 0.5
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
            use_bias=True,
        )
        norm = layers.batch_norm(
            train=train,
            form=self.form,
            folded=self.folded or not self.batch_norm,
            epsilon=self.norm_epsilon,
            dtype=dtype,
        )

        x = layers.normalize(image, self.mean, self.std, dtype)
        for stage, num_convs in enumerate(self.stage_sizes):
            if stage > 0:
                x = pooling.max_pool(x, 2, 2, form=self.form)
            for index in range(num_convs):
                place = f"{stage + 1}_{index + 1}"
                x = conv(self.width * min(2**stage, 8), 3, name=f"conv{place}")(x)
                x = nn.relu(norm(name=f"bn{place}")(x))
        # Before the last pooling: heat maps of twice the resolution.
        x = layers.expose_features(self, x)
        x = pooling.adaptive_average_pool(pooling.max_pool(x, 2, 2, form=self.form), 7)
        # Channels first, which is how the published first dense layer counts its inputs.
        x = jnp.transpose(x, (0, 3, 1, 2)).reshape(x.shape[0], -1)
        dense = functools.partial(
            layers.dense,
            64 * self.width,
            form=self.form,
            dtype=dtype,
            kernel_init=_narrow_normal,
        )
        x = nn.relu(dense(name="fc1")(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = nn.relu(dense(name="fc2")(x))
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)


_STAGE_SIZES = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
backbone.register(
    VGG,
    {
        f"vgg{depth}{norm}": {"stage_sizes": sizes, "batch_norm": norm == "_bn"}
        for depth, sizes in _STAGE_SIZES.items()
        for norm in ("", "_bn")
    },
)


@key_names.register(VGG, "torchvision", layers.BY_IMAGENET)
def _torchvision_names(model: VGG) -> key_names.Names:
    names: key_names.Names = {"classifier.0": "fc1", "classifier.3": "fc2", "classifier.6": None}
    number = 0  # of convolutions, norms, activations and poolings in one list
    for stage, num_convs in enumerate(model.stage_sizes, 1):
        for index in range(1, num_convs + 1):
            names[f"features.{number}"] = f"conv{stage}_{index}"
            if model.batch_norm:
                names[f"features.{number + 1}"] = f"bn{stage}_{index}"
            number += 3 if model.batch_norm else 2
        number += 1
    return names
