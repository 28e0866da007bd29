"""Where in a crop a model looked before it decided.

Attention rollout for models that sow attention weights, otherwise Grad-CAM on the feature maps that
they mark with `layers.expose_features`. A heat map shows what this model looked at; it does not
prove where a picture was altered.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.errors import UserError
from dfjax.models import layers


def heat_map(
    variables: dict[str, Any], crops: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Returns heat maps, float32 [B, h, w], of crops [B, S, S, 3]: a value per patch or feature.

    The largest value of a map is 1. By `rollout` for a model that sows its attention, by `grad_cam`
    for any other. Crops are uint8, or float in 0..1, as `steps.predict` takes them.

    Raises:
      UserError: the model exposes neither attention nor feature maps.
    """
    image = layers.resize(crops, image_size)
    shapes = jax.eval_shape(functools.partial(_intermediates, model=model), variables, image)
    method = rollout if "pooling" in shapes else grad_cam
    with jax.default_matmul_precision("highest"):  # as `steps.predict`
        return method(variables, image, model=model, image_size=image_size)


def rollout(
    variables: dict[str, Any], crops: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Returns heat maps as `heat_map` does, by attention rollout (arXiv:2005.00928).

    After every block, a token is half itself and half what it attends to, the mean over the heads.
    The product over the blocks is the share of every patch in the tokens that the logit is computed
    from. It shows what was looked at, for either class: a map is as bright for a face called real
    as for one called fake.
    """
    intermediates = _intermediates(variables, layers.resize(crops, image_size), model=model)
    (share,), (features,) = intermediates["pooling"], intermediates["features"]
    for name in reversed(list(_block_names(intermediates))):
        (attention,) = intermediates[name]["attention"]["attention"]
        # The mean first: no block's heads need to be kept until the product is formed.
        attended = jnp.einsum("bt,bts->bs", share, attention.mean(1), precision="highest")
        share = (share + attended) / 2
    batch, rows, columns, _ = features.shape
    patches = share[:, share.shape[1] - rows * columns :]
    return _scaled(patches.reshape(batch, rows, columns))


def grad_cam(
    variables: dict[str, Any], crops: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Returns heat maps as `heat_map` does, by Grad-CAM (arXiv:1610.02391).

    They show evidence for "fake": without any, a map is 0 everywhere.
    """
    image = layers.resize(crops, image_size)

    def logits_and_features(perturbations: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
        logit, state = model.apply(
            {**variables, **perturbations}, image, train=False, mutable=["intermediates"]
        )
        marked = state.get("intermediates", {}).get("features")
        if marked is None:
            raise UserError(f"{type(model).__name__} marks no features: it has no heat map")
        return logit.sum(), marked[0]

    _, shape = jax.eval_shape(logits_and_features, {})
    zeros = {"perturbations": {"features": jnp.zeros(shape.shape, shape.dtype)}}
    gradients, features = jax.grad(logits_and_features, has_aux=True)(zeros)
    gradient = gradients["perturbations"]["features"].astype(jnp.float32)
    weight = gradient.mean((1, 2), keepdims=True)
    return _scaled(nn.relu((weight * features.astype(jnp.float32)).sum(-1)))


def _intermediates(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module
) -> dict[str, Any]:
    """What the model sows on the way to its logits."""
    _, state = model.apply(variables, image, train=False, mutable=["intermediates"])
    return state.get("intermediates", {})


def _block_names(intermediates: dict[str, Any]) -> Iterator[str]:
    """Names of the blocks from first to last: sorted as words, block10 would come second."""
    names = (f"block{number}" for number in itertools.count(1))
    return itertools.takewhile(intermediates.__contains__, names)


def _scaled(heat: jax.Array) -> jax.Array:
    """The maps [B, h, w], each divided by its largest value."""
    return heat / jnp.maximum(heat.max((1, 2), keepdims=True), 1e-12)
