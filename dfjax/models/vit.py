"""Vision transformers: ViT, and the image towers of CLIP and DINOv2.

- `vit_{s,b,l}{16,14}`: Dosovitskiy et al., "An Image is Worth 16x16 Words" (arXiv:2010.11929), as
  timm has them; mean and standard deviation 0.5, which the weights of big_vision, timm ("augreg")
  and Hugging Face were trained with. torchvision's were trained with those of ImageNet: set `mean`
  and `std`. big_vision computes GELU by tanh: set `gelu="tanh"` for the same digits.
- `clip_vit_{b16,l14}`: Radford et al. (arXiv:2103.00020), the weights of OpenAI: no bias in the
  patch embedding, a norm before the blocks, quick GELU, epsilon 1e-5, a normalisation of its own.
- `dinov2_vit_{s,b,l}14`: Oquab et al. (arXiv:2304.07193), without registers: layer scale, 518 px,
  the normalisation of ImageNet.

Parameters with this head: S 22 M, B 86 M, L 303 M; all but DINOv2 of 224 px. Images may have any
size that is a multiple of the patch: the position embeddings are resampled as timm resamples them
(DINOv2's own code does without antialiasing, and differs a little where it shrinks them).

Tuning the LayerNorms alone, which the best detectors on CLIP do (arXiv:2508.06248 and others):
`config.optimizer.lr_rules`, as in configs/vit.py.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax import registry
from dfjax.errors import UserError
from dfjax.models import layers

POOLS = ("token", "mean", "attention")
_GELUS = {
    "exact": functools.partial(nn.gelu, approximate=False),
    "tanh": functools.partial(nn.gelu, approximate=True),
    "quick": lambda x: x * nn.sigmoid(1.702 * x),
}

_normal = nn.initializers.normal(0.02)
_truncated_normal = nn.initializers.truncated_normal(0.02)


class Attention(nn.Module):
    """Multi-head self-attention of tokens [B, T, D].

    Attributes:
      heads: they share the width equally.
      dtype: compute type.
    """

    heads: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        qkv = _dense(3 * x.shape[-1], self.dtype, name="qkv")(x)
        x, weights = _attend(*jnp.split(qkv, 3, axis=-1), heads=self.heads)
        self.sow("intermediates", "attention", weights)
        return _dense(x.shape[-1], self.dtype, name="project")(x)


class Mlp(nn.Module):
    """A perceptron of every token: `width` units inside and a GELU of the kind `gelu`."""

    width: int
    gelu: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = _dense(self.width, self.dtype, name="fc1")(x)
        return _dense(x.shape[-1], self.dtype, name="fc2")(_GELUS[self.gelu](y))


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm and beside a shortcut.

    Attributes:
      heads, mlp_width, gelu, norm_epsilon, layer_scale: of the network.
      drop_rate: of both branches, see `layers.StochasticDepth`.
      dtype: compute type.
    """

    heads: int
    mlp_width: int
    gelu: str
    norm_epsilon: float
    layer_scale: float | None
    drop_rate: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        attention = Attention(self.heads, self.dtype, name="attention")
        mlp = Mlp(self.mlp_width, self.gelu, self.dtype, name="mlp")
        for number, layer in enumerate((attention, mlp), 1):
            norm = _layer_norm(self.norm_epsilon, self.dtype, name=f"norm{number}")
            y = layer(norm(x))
            if self.layer_scale is not None:
                initial = nn.initializers.constant(self.layer_scale)
                scale = self.param(f"layer_scale{number}", initial, y.shape[-1:])
                y = y * scale.astype(self.dtype).reshape(1, 1, -1)
            x = x + layers.StochasticDepth(self.drop_rate)(y, train=train)
        return x


class AttentionPool(nn.Module):
    """Tokens [B, T, D] to one, [B, D], by the attention of a learned probe (arXiv:2106.04560).

    Also returns how much each token counts, [B, T]: the mean over the heads.

    Attributes: as `Block`.
    """

    heads: int
    mlp_width: int
    gelu: str
    norm_epsilon: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch, _, width = x.shape
        probe = self.param("probe", _normal, (width,)).astype(self.dtype)
        query = _dense(width, self.dtype, name="query")(probe.reshape(1, 1, width))
        query = jnp.broadcast_to(query, (batch, 1, width))
        key, value = jnp.split(_dense(2 * width, self.dtype, name="key_value")(x), 2, axis=-1)
        x, weights = _attend(query, key, value, heads=self.heads)
        x = _dense(width, self.dtype, name="project")(x)
        y = _layer_norm(self.norm_epsilon, self.dtype, name="norm")(x)
        x = x + Mlp(self.mlp_width, self.gelu, self.dtype, name="mlp")(y)
        return x[:, 0], weights.mean((1, 2))


class VisionTransformer(nn.Module):
    """A transformer over the patches of an image that ends in one logit of "fake".

    With `mutable=["intermediates"]` it tells what was looked at: every block leaves its attention
    weights [B, heads, T, T] as `attention`, and the network how much each of the last tokens counts
    in what is pooled, [B, T], as `pooling`.

    Attributes:
      patch: side of a patch in pixels.
      width: channels of a token.
      depth: blocks.
      heads: of the attention; they share the width equally.
      mlp_width: units inside the perceptron of a block.
      pool: what the logit is made of: "token" is the class token, "mean" the mean of the patches,
        "attention" a learned weighing of them (`AttentionPool`).
      class_token: a token that belongs to no patch stands before the others.
      gelu: "exact", "tanh" (an approximation) or "quick" (a coarser one).
      norm_pre: a norm before the first block, and no bias in the patch embedding.
      norm_epsilon: of the LayerNorms.
      layer_scale: initial value of the factor by which every channel of a branch counts; None: the
        branches have none.
      dtype: compute type ("float32" or "bfloat16"); parameters, attention weights, the head and the
        logit stay in float32.
      stochastic_depth: drop rate of the last block's branches; it grows from 0 at the first.
      dropout: rate before the head.
      remat: compute each block again in the backward pass, to save memory.
      native_size: side in pixels of the images that the position embeddings are for.
      mean, std: per-channel constants of the preprocessing, in the 0..1 range of RGB.
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
    dtype: str = "float32"
    stochastic_depth: float = 0.0
    dropout: float = 0.0
    remat: bool = False
    native_size: int = 224
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
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        shared = {
            "heads": self.heads,
            "mlp_width": self.mlp_width,
            "gelu": self.gelu,
            "norm_epsilon": self.norm_epsilon,
            "dtype": dtype,
        }

        x = layers.normalize(image, self.mean, self.std, dtype)
        x, grid = self._embed(x)
        if self.norm_pre:
            x = _layer_norm(self.norm_epsilon, dtype, name="norm_pre")(x)
        for index, rate in enumerate(np.linspace(0, self.stochastic_depth, self.depth).tolist(), 1):
            x = block(**shared, layer_scale=self.layer_scale, drop_rate=rate, name=f"block{index}")(
                x, train
            )
        x = _layer_norm(self.norm_epsilon, dtype, name="norm")(x)

        x, weights = self._pool(x, grid, shared)
        self.sow("intermediates", "pooling", weights)
        return layers.BinaryHead(dropout=self.dropout, name="head")(x, train=train)

    def _embed(self, image: jax.Array) -> tuple[jax.Array, tuple[int, int]]:
        """(tokens [B, T, D] with their positions, rows and columns of patches)."""
        x = nn.Conv(
            self.width,
            (self.patch, self.patch),
            (self.patch, self.patch),
            padding="VALID",
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
        """(what the logit is made of [B, D], how much each of the tokens x counts in it [B, T])."""
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
            x, weights = AttentionPool(**shared, name="pool")(patches)
        return x, jnp.pad(weights, ((0, 0), (extra, 0)))

    def _require_settings(self) -> None:
        if self.pool not in POOLS or self.gelu not in _GELUS:
            raise UserError(
                f"pool {self.pool!r} and gelu {self.gelu!r}: choose pool from {', '.join(POOLS)}, "
                f"gelu from {', '.join(_GELUS)}"
            )
        if self.pool == "token" and not self.class_token:
            raise UserError('pool "token" needs class_token: choose pool mean or attention')
        if self.width % self.heads or self.native_size % self.patch:
            raise UserError(
                f"width {self.width} must be a multiple of heads {self.heads}, and native_size "
                f"{self.native_size} of patch {self.patch}"
            )


def cubic_weights(old: int, new: int) -> np.ndarray:
    """What each of `old` positions in a row gives to each of `new`, float32 [new, old].

    The cubic convolution of Keys (1981) with a = -0.5, widened where it shrinks: the antialiased
    bicubic resampling of Pillow and PyTorch.
    """
    scale = old / new
    centre = (np.arange(new)[:, None] + 0.5) * scale - 0.5
    distance = np.abs(centre - np.arange(old)[None]) / max(scale, 1)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return np.float32(weights / weights.sum(1, keepdims=True))


def _attend(
    query: jax.Array, key: jax.Array, value: jax.Array, *, heads: int
) -> tuple[jax.Array, jax.Array]:
    """(attended values [B, Q, D], weights [B, heads, Q, T] in float32) of Q queries to T tokens."""
    query, key, value = (
        x.reshape(*x.shape[:2], heads, x.shape[2] // heads) for x in (query, key, value)
    )
    query = query / query.shape[-1] ** 0.5
    scores = jnp.einsum("bqhd,bthd->bhqt", query, key, preferred_element_type=jnp.float32)
    weights = nn.softmax(scores)
    x = jnp.einsum("bhqt,bthd->bqhd", weights.astype(value.dtype), value)
    return x.reshape(*x.shape[:2], heads * x.shape[3]), weights


def _dense(features: int, dtype: jnp.dtype, *, name: str) -> nn.Dense:
    return nn.Dense(features, dtype=dtype, kernel_init=_truncated_normal, name=name)


def _layer_norm(epsilon: float, dtype: jnp.dtype, *, name: str) -> nn.LayerNorm:
    # The fast variance, E[x²] - E[x]², loses its digits in the few channels of a trained
    # transformer that are a hundred times larger than the others.
    return nn.LayerNorm(epsilon, dtype, use_fast_variance=False, name=name)


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


@registry.register("model", "vit_s16")
def vit_s16() -> VisionTransformer:
    return VisionTransformer(patch=16, **_SMALL)


@registry.register("model", "vit_b16")
def vit_b16() -> VisionTransformer:
    return VisionTransformer(patch=16, **_BASE)


@registry.register("model", "vit_l16")
def vit_l16() -> VisionTransformer:
    return VisionTransformer(patch=16, **_LARGE)


@registry.register("model", "vit_s14")
def vit_s14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_SMALL)


@registry.register("model", "vit_b14")
def vit_b14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_BASE)


@registry.register("model", "vit_l14")
def vit_l14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_LARGE)


@registry.register("model", "clip_vit_b16")
def clip_vit_b16() -> VisionTransformer:
    return VisionTransformer(patch=16, **_BASE, **_CLIP)


@registry.register("model", "clip_vit_l14")
def clip_vit_l14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_LARGE, **_CLIP)


@registry.register("model", "dinov2_vit_s14")
def dinov2_vit_s14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_SMALL, **_DINOV2)


@registry.register("model", "dinov2_vit_b14")
def dinov2_vit_b14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_BASE, **_DINOV2)


@registry.register("model", "dinov2_vit_l14")
def dinov2_vit_l14() -> VisionTransformer:
    return VisionTransformer(patch=14, **_LARGE, **_DINOV2)
