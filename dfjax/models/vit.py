"""Vision transformers: ViT, DINOv2, and the image encoder of CLIP.

- `vit_{s,b,l}{16,14}`: Dosovitskiy et al., "An Image is Worth 16x16 Words" (arXiv:2010.11929), as
  in timm; mean and standard deviation 0.5, as the weights of big_vision, timm ("augreg") and
  Hugging Face expect. torchvision's expect those of ImageNet: set `mean` and `std`. big_vision
  computes GELU by tanh: set `gelu="tanh"` for the same digits.
- `clip_vit_{b16,l14}`: Radford et al. (arXiv:2103.00020), the weights of OpenAI: no bias in the
  patch embedding, a norm before the blocks, quick GELU, epsilon 1e-5, a mean and std of its own.
- `dinov2_vit_{s,b,l}14`: Oquab et al. (arXiv:2304.07193), without registers: layer scale, 518 px,
  the mean and standard deviation of ImageNet.

Parameters with this head: S 22 M, B 86 M, L 303 M; 224 px, except DINOv2. Images may have any
size that is a multiple of the patch: the position embeddings are resampled as timm resamples them
(DINOv2's own code does not antialias, and differs a little for smaller images).

To train only the LayerNorms, as the best detectors on CLIP do (arXiv:2508.06248 and others), set
`config.optimizer.lr_rules` as in configs/vit_l_lntune.py.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax.errors import UserError
from dfjax.models import backbone, layers, transformer

POOLS = ("token", "mean", "attention")

_normal = nn.initializers.normal(0.02)


class VisionTransformer(backbone.Backbone):
    """A transformer over the patches of an image that ends in one logit of "fake".

    With `mutable=["intermediates"]` every block returns its attention weights [B, heads, T, T] as
    `attention`, and the network the weights of the last tokens in the pooled one, [B, T], as
    `pooling`. Attention weights are float32. `backbone.Backbone` explains the fields that are not
    listed here.

    Attributes:
      patch: side of a patch in pixels.
      width: channels of a token.
      depth: blocks.
      heads: of the attention; each has an equal share of the width.
      mlp_width: units inside the perceptron of a block.
      pool: input of the head: "token" is the class token, "mean" the mean of the patches,
        "attention" a learned weighting of them (`transformer.AttentionPool`).
      class_token: a learned token comes before those of the patches.
      gelu: "exact", "tanh" (an approximation) or "quick" (a coarser one).
      norm_pre: a norm before the first block, and no bias in the patch embedding.
      layer_scale: initial value of the factor of every channel of a branch; None: no such factor.
      native_size: side in pixels of the images that the position embeddings are for.
    """

    patch: int
    width: int
    depth: int
    heads: int
    mlp_width: int
    pool: str = "token"
    class_token: bool = True
    gelu: str = "exact"
    norm_pre: bool = False
    norm_epsilon: float = 1e-6
    layer_scale: float | None = None
    stochastic_depth: float = 0.0
    remat: bool = False
    mean: tuple[float, float, float] = layers.INCEPTION_MEAN
    std: tuple[float, float, float] = layers.INCEPTION_STD

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """Logits [B] (float32) of images [B, H, W, 3]: uint8, or float in 0..1.

        H and W are multiples of `patch`, and at least 32.
        """
        self._require_settings()
        layers.require_size(image, at_least=32, multiple_of=self.patch)
        dtype = jnp.dtype(self.dtype)
        block = layers.remat_if(self.remat, transformer.Block)
        shared = {
            "heads": self.heads,
            "mlp_width": self.mlp_width,
            "gelu": self.gelu,
            "norm_epsilon": self.norm_epsilon,
            "dtype": dtype,
            "form": self.form,
        }

        x = layers.normalize(image, self.mean, self.std, dtype)
        x, grid = self._embed(x)
        if self.norm_pre:
            x = transformer.layer_norm(self.norm_epsilon, dtype, name="norm_pre")(x)
        drop_rates = layers.drop_rates(self.stochastic_depth, self.depth)
        for index, rate in enumerate(drop_rates, 1):
            x = block(**shared, layer_scale=self.layer_scale, drop_rate=rate, name=f"block{index}")(
                x, train
            )
        x = transformer.layer_norm(self.norm_epsilon, dtype, name="norm")(x)

        x, weights = self._pool(x, grid, shared)
        self.sow("intermediates", "pooling", weights)
        return layers.BinaryHead(self.dropout, self.clip_attention, name="head")(x, train=train)

    def _embed(self, image: jax.Array) -> tuple[jax.Array, tuple[int, int]]:
        """Returns (tokens [B, T, D] with their positions, (rows, columns) of patches)."""
        x = layers.conv(
            self.width,
            self.patch,
            self.patch,
            form=self.form,
            padding="valid",
            use_bias=not self.norm_pre,
            dtype=image.dtype,
            name="patch_embedding",
        )(image)
        batch, rows, columns, width = x.shape
        x = x.reshape(batch, rows * columns, width)
        if self.class_token:
            token = self.param("class_token", _normal, (width,)).astype(x.dtype)
            token = jnp.broadcast_to(token.reshape(1, 1, width), (batch, 1, width))
            x = jnp.concatenate([token, x], axis=1)
        return x + self._positions(rows, columns).astype(x.dtype)[None], (rows, columns)

    def _positions(self, rows: int, columns: int) -> jax.Array:
        """The position embeddings [T, D] of a grid of patches."""
        extra, side = int(self.class_token), self.native_size // self.patch
        table = self.param("position_embedding", _normal, (extra + side * side, self.width))
        if (rows, columns) == (side, side):
            return table
        patches = table[extra:].reshape(side, side, self.width)
        down, across = cubic_weights(side, rows), cubic_weights(side, columns)
        patches = jnp.einsum("rs,sct->rct", down, patches, precision="highest")
        patches = jnp.einsum("cs,rst->rct", across, patches, precision="highest")
        return jnp.concatenate([table[:extra], patches.reshape(rows * columns, self.width)])

    def _pool(
        self, x: jax.Array, grid: tuple[int, int], shared: Mapping[str, Any]
    ) -> tuple[jax.Array, jax.Array]:
        """Returns (the input of the head [B, D], the weight of every token in it [B, T])."""
        batch, num_tokens, width = x.shape
        extra, num_patches = int(self.class_token), grid[0] * grid[1]
        patches = layers.expose_features(self, x[:, extra:].reshape(batch, *grid, width))
        if self.pool == "token":
            return x[:, 0], jnp.broadcast_to(np.eye(1, num_tokens), (batch, num_tokens))
        if self.pool == "mean":
            x = jnp.mean(patches, axis=(1, 2), dtype=jnp.float32)
            weights = jnp.broadcast_to(1 / num_patches, (batch, num_patches))
        else:
            patches = patches.reshape(batch, num_patches, width)
            x, weights = transformer.AttentionPool(**shared, name="pool")(patches)
        return x, jnp.pad(weights, ((0, 0), (extra, 0)))

    def _require_settings(self) -> None:
        if self.pool not in POOLS or self.gelu not in transformer.GELUS:
            raise UserError(
                f"pool {self.pool!r} and gelu {self.gelu!r}: choose pool from {', '.join(POOLS)}, "
                f"gelu from {', '.join(transformer.GELUS)}"
            )
        if self.pool == "token" and not self.class_token:
            raise UserError('pool "token" needs class_token: choose pool mean or attention')
        if self.width % self.heads or self.native_size % self.patch:
            raise UserError(
                f"width {self.width} must be a multiple of heads {self.heads}, and native_size "
                f"{self.native_size} of patch {self.patch}"
            )


def cubic_weights(old: int, new: int) -> np.ndarray:
    """The weight of each of `old` positions of a row in each of `new`, float32 [new, old].

    The cubic convolution of Keys (1981) with a = -0.5, widened when new < old: the antialiased
    bicubic resampling of Pillow and PyTorch.
    """
    scale = old / new
    centre = (np.arange(new)[:, None] + 0.5) * scale - 0.5
    distance = np.abs(centre - np.arange(old)[None]) / max(scale, 1)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return np.float32(weights / weights.sum(1, keepdims=True))


_SMALL = {"width": 384, "depth": 12, "heads": 6, "mlp_width": 1536}
_BASE = {"width": 768, "depth": 12, "heads": 12, "mlp_width": 3072}
_LARGE = {"width": 1024, "depth": 24, "heads": 16, "mlp_width": 4096}
_CLIP = {
    "gelu": "quick",
    "norm_pre": True,
    "norm_epsilon": 1e-5,
    "mean": layers.CLIP_MEAN,
    "std": layers.CLIP_STD,
}
_DINOV2 = {
    "layer_scale": 1e-5,
    "native_size": 518,
    "mean": layers.IMAGENET_MEAN,
    "std": layers.IMAGENET_STD,
}


backbone.register(
    VisionTransformer,
    {
        "vit_s16": {"patch": 16, **_SMALL},
        "vit_b16": {"patch": 16, **_BASE},
        "vit_l16": {"patch": 16, **_LARGE},
        "vit_s14": {"patch": 14, **_SMALL},
        "vit_b14": {"patch": 14, **_BASE},
        "vit_l14": {"patch": 14, **_LARGE},
        "clip_vit_b16": {"patch": 16, **_BASE, **_CLIP},
        "clip_vit_l14": {"patch": 14, **_LARGE, **_CLIP},
        "dinov2_vit_s14": {"patch": 14, **_SMALL, **_DINOV2},
        "dinov2_vit_b14": {"patch": 14, **_BASE, **_DINOV2},
        "dinov2_vit_l14": {"patch": 14, **_LARGE, **_DINOV2},
    },
)
