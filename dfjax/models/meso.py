"""MesoNet: two very small networks, the classic of forgery detection on a CPU.

Afchar et al., "MesoNet: a Compact Facial Video Forgery Detection Network" (arXiv:1809.00888):
Meso-4 (27,977 parameters) and MesoInception-4 (28,615), as in the authors' Keras code
(DariusAf/MesoNet). Their weights fit: 256 px, RGB in 0..1 without further normalization. Their
output is P(real), so the last layer changes its sign when it is converted. They take 256 px only;
here the feature maps of other sizes are averaged over the same grid of cells.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import backbone, key_names, layers, pooling

_GRID = 8  # cells per side before the dense layers, as 256 px give
_DILATIONS = (1, 1, 2, 3)  # of the branches' 3x3 convolutions; the first branch has none


class InceptionBlock(nn.Module):
    """Four parallel branches: a 1x1 convolution, and three of a 1x1 and a dilated 3x3.

    Attributes:
      widths: channels of the four branches.
      conv: of the network.
    """

    widths: Sequence[int]
    conv: Callable

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        branches = []
        for number, (width, dilation) in enumerate(zip(self.widths, _DILATIONS, strict=True), 1):
            y = nn.relu(self.conv(width, 1, name=f"branch{number}_conv1")(x))
            if number > 1:
                conv3x3 = functools.partial(self.conv, kernel_dilation=(dilation, dilation))
                y = nn.relu(conv3x3(width, 3, name=f"branch{number}_conv2")(y))
            branches.append(y)
        return jnp.concatenate(branches, axis=-1)


class MesoNet(backbone.Backbone):
    """Four stages, each with a BatchNorm after its activation and a pooling, and two dense layers.

    A norm follows an activation, so that a folded one is a scale and a bias (`layers.Affine`).
    `backbone.Backbone` explains the fields that are not listed here.

    Attributes:
      stages: channels of each stage's convolution, or of the four branches of its Inception block.
      hidden: units of the first dense layer.
      dropout: rate before each of the dense layers.
    """

    stages: Sequence[int | Sequence[int]]
    hidden: int = 16
    dropout: float = 0.5
    norm_epsilon: float = 1e-3
    folded: bool = False
    native_size: int = 256
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1; H, W >= 32."""
        layers.require_size(image, at_least=32)
        dtype = jnp.dtype(self.dtype)
        glorot = nn.initializers.glorot_uniform()
        conv = functools.partial(
            layers.conv,
            form=self.form,
            padding="same",
            use_bias=True,
            dtype=dtype,
            kernel_init=glorot,
        )
        norm = self._norm(train)

        x = layers.normalize(image, self.mean, self.std, dtype)
        for number, widths in enumerate(self.stages, 1):
            if number > 1:
                x = _max_pool(x, 2, self.form)
            if isinstance(widths, int):
                kernel = 3 if number == 1 else 5
                x = nn.relu(conv(widths, kernel, name=f"conv{number}")(x))
            else:
                x = InceptionBlock(widths, conv, name=f"inception{number}")(x)
            x = norm(name=f"affine{number}")(x)
        # Before the last pooling: heat maps of four times the resolution.
        x = layers.expose_features(self, x)
        x = pooling.adaptive_average_pool(_max_pool(x, 4, self.form), _GRID)
        x = nn.Dropout(self.dropout, deterministic=not train)(x.reshape(x.shape[0], -1))
        x = nn.Dense(self.hidden, dtype=dtype, kernel_init=glorot, name="dense")(x)
        x = jnp.maximum(x, 0.1 * x)  # the leaky ReLU, which jax2onnx cannot write
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)

    def _norm(self, train: bool) -> Callable:
        dtype = jnp.dtype(self.dtype)
        if self.folded:
            return functools.partial(layers.Affine, dtype=dtype)
        return layers.batch_norm(
            train=train,
            form=self.form,
            folded=False,
            epsilon=self.norm_epsilon,
            dtype=dtype,
            momentum=0.99,
        )


def _max_pool(x: jax.Array, window: int, form: str) -> jax.Array:
    """Maxima of adjacent windows; incomplete ones at the edges count too, as Keras' "same"."""
    missing = [-size % window for size in x.shape[1:3]]
    height, width = ((count // 2, count - count // 2) for count in missing)
    return pooling.max_pool(x, window, window, padding=(height, width), form=form)


backbone.register(
    MesoNet,
    {
        "meso4": {"stages": (8, 8, 16, 16)},
        "mesoinception4": {"stages": ((1, 4, 4, 2), (2, 4, 4, 2), 16, 16)},
    },
)


@key_names.register(MesoNet, "MesoNet (Keras)", {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})
def _keras_names(model: MesoNet) -> key_names.Names:
    convs = []
    for number, widths in enumerate(model.stages, 1):
        if isinstance(widths, int):
            convs.append(f"conv{number}")
        else:
            block = f"inception{number}"
            convs.append(f"{block}/branch1_conv1")
            for branch in (2, 3, 4):
                convs += [f"{block}/branch{branch}_conv{layer}" for layer in (1, 2)]
    names: key_names.Names = {f"conv2d_{n}": ours for n, ours in enumerate(convs, 1)}
    for number in range(1, len(model.stages) + 1):
        names[f"batch_normalization_{number}"] = f"affine{number}"
    return names | {"dense_1": "dense", "dense_2": key_names.Negated("head/logit")}
