"""BatchNorm of a training step with as few passes over memory as its arithmetic allows.

Written as means and differences, it lets XLA keep x, x - mean and more for the gradient. Here x is
read twice forward, and x and the gradient twice each backward.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from dfjax.models import fusion


class BatchNorm(nn.Module):
    """What `nn.BatchNorm` computes in training mode, with variables of the same names.

    Attributes:
      momentum: share of the old statistics that an update keeps.
      epsilon: added to the variance.
      dtype: type of the result.
      scale_init: initializer of the scale.
    """

    momentum: float
    epsilon: float
    dtype: Any
    scale_init: nn.initializers.Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1:]
        means = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        variances = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        scale = self.param("scale", self.scale_init, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        y, mean, var = normalize(x, scale, bias, self.epsilon)
        if not self.is_initializing():
            for running, new in ((means, mean), (variances, var)):
                running.value = self.momentum * running.value + (1 - self.momentum) * new
        return y.astype(self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalize(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns (x [N, H, W, C] normalized, its means [C], its variances [C]).

    Channels have mean `bias` and standard deviation `scale` then. The statistics are not to be
    differentiated. At least float32.
    """
    x = _widened(x)
    sums = fusion.sum_positions(_powers, x.shape[1], x) / _count(x)
    mean, var = sums[0], jnp.maximum(sums[1] - sums[0] ** 2, 0)
    factor = lax.rsqrt(var + epsilon) * scale
    return (x - _wide(mean)) * _wide(factor) + _wide(bias), mean, var


def _forward(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> tuple:
    y, mean, var = normalize(x, scale, bias, epsilon)
    return (y, mean, var), (x, scale, mean, lax.rsqrt(var + epsilon))


def _backward(_: float, saved: tuple, gradients: tuple) -> tuple:
    x, scale, mean, inverse = saved
    g, wide = gradients[0], _widened(x)
    sums = fusion.sum_positions(_moments, x.shape[1], g, wide, _wide(mean))
    dbias, moment = sums
    slope = inverse**2 * moment / _count(x)
    dx = g - _wide(dbias / _count(x)) - (wide - _wide(mean)) * _wide(slope)
    dx = dx * _wide(inverse * scale)
    return dx.astype(x.dtype), inverse * moment, dbias


normalize.defvjp(_forward, _backward)


def _powers(rows: slice, x: jax.Array) -> tuple[jax.Array, ...]:
    x = x[:, rows]
    return x, x * x


def _moments(rows: slice, g: jax.Array, x: jax.Array, mean: jax.Array) -> tuple[jax.Array, ...]:
    g = g[:, rows]
    return g, g * (x[:, rows] - mean)


def _widened(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _wide(v: jax.Array) -> jax.Array:
    return v.reshape(1, 1, 1, -1)


def _count(x: jax.Array) -> int:
    return x.size // x.shape[-1]
