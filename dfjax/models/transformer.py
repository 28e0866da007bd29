"""The layers of a transformer: attention, perceptron, block, and the pooling by attention."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import layers

GELUS = {
    "exact": functools.partial(nn.gelu, approximate=False),
    "tanh": functools.partial(nn.gelu, approximate=True),
    "quick": lambda x: x * nn.sigmoid(1.702 * x),
}

_normal = nn.initializers.normal(0.02)
_truncated_normal = nn.initializers.truncated_normal(0.02)


class Attention(nn.Module):
    """Multi-head self-attention of tokens [B, T, D].

    Attributes:
      heads: each has an equal share of the width.
      dtype: compute type.
      form: of the network.
    """

    heads: int
    dtype: jnp.dtype
    form: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        qkv = _dense(3 * x.shape[-1], self.dtype, self.form, name="qkv")(x)
        x, weights = _attend(*jnp.split(qkv, 3, axis=-1), heads=self.heads)
        self.sow("intermediates", "attention", weights)
        return _dense(x.shape[-1], self.dtype, self.form, name="project")(x)


class Mlp(nn.Module):
    """A perceptron on every token.

    Attributes:
      width: units inside.
      gelu: a key of `GELUS`.
      dtype: compute type.
      form: of the network.
    """

    width: int
    gelu: str
    dtype: jnp.dtype
    form: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = _dense(self.width, self.dtype, self.form, name="fc1")(x)
        return _dense(x.shape[-1], self.dtype, self.form, name="fc2")(GELUS[self.gelu](y))


class Block(nn.Module):
    """Attention and a perceptron, each after a norm and with a shortcut.

    Attributes:
      heads, mlp_width, gelu, norm_epsilon, layer_scale: of the network.
      drop_rate: of both branches, see `layers.StochasticDepth`.
      dtype: compute type.
      form: of the network.
    """

    heads: int
    mlp_width: int
    gelu: str
    norm_epsilon: float
    layer_scale: float | None
    drop_rate: float
    dtype: jnp.dtype
    form: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        attention = Attention(self.heads, self.dtype, self.form, name="attention")
        mlp = Mlp(self.mlp_width, self.gelu, self.dtype, self.form, name="mlp")
        for number, layer in enumerate((attention, mlp), 1):
            norm = layer_norm(self.norm_epsilon, self.dtype, name=f"norm{number}")
            y = layer(norm(x))
            if self.layer_scale is not None:
                initial = nn.initializers.constant(self.layer_scale)
                scale = self.param(f"layer_scale{number}", initial, y.shape[-1:])
                y = y * scale.astype(self.dtype).reshape(1, 1, -1)
            x = x + layers.StochasticDepth(self.drop_rate)(y, train=train)
        return x


class AttentionPool(nn.Module):
    """Tokens [B, T, D] to one, [B, D], by the attention of a learned probe (arXiv:2106.04560).

    Also returns the weight of each token, [B, T]: the mean over the heads.

    Attributes:
      heads, mlp_width, gelu, norm_epsilon: of the network.
      dtype: compute type.
      form: of the network.
    """

    heads: int
    mlp_width: int
    gelu: str
    norm_epsilon: float
    dtype: jnp.dtype
    form: str

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch, _, width = x.shape
        probe = self.param("probe", _normal, (width,)).astype(self.dtype)
        query = _dense(width, self.dtype, self.form, name="query")(probe.reshape(1, 1, width))
        query = jnp.broadcast_to(query, (batch, 1, width))
        key, value = jnp.split(
            _dense(2 * width, self.dtype, self.form, name="key_value")(x), 2, axis=-1
        )
        x, weights = _attend(query, key, value, heads=self.heads)
        x = _dense(width, self.dtype, self.form, name="project")(x)
        y = layer_norm(self.norm_epsilon, self.dtype, name="norm")(x)
        x = x + Mlp(self.mlp_width, self.gelu, self.dtype, self.form, name="mlp")(y)
        return x[:, 0], weights.mean((1, 2))


def layer_norm(epsilon: float, dtype: jnp.dtype, *, name: str) -> nn.LayerNorm:
    """A LayerNorm whose variance is exact."""
    # The fast variance, E[x²] - E[x]², loses its digits in the few channels of a trained
    # transformer that are a hundred times larger than the others.
    return nn.LayerNorm(epsilon, dtype, use_fast_variance=False, name=name)


def _attend(
    query: jax.Array, key: jax.Array, value: jax.Array, *, heads: int
) -> tuple[jax.Array, jax.Array]:
    """(weighted values [B, Q, D], weights [B, heads, Q, T] in float32): Q queries, T tokens."""
    query, key, value = (
        x.reshape(*x.shape[:2], heads, x.shape[2] // heads) for x in (query, key, value)
    )
    query = query / query.shape[-1] ** 0.5
    scores = jnp.einsum("bqhd,bthd->bhqt", query, key, preferred_element_type=jnp.float32)
    weights = nn.softmax(scores)
    x = jnp.einsum("bhqt,bthd->bqhd", weights.astype(value.dtype), value)
    return x.reshape(*x.shape[:2], heads * x.shape[3]), weights


def _dense(features: int, dtype: jnp.dtype, form: str, *, name: str) -> nn.Dense:
    return layers.dense(features, form=form, dtype=dtype, kernel_init=_truncated_normal, name=name)
