"""Where in a crop a model looked before it decided.

Two methods, by what a model leaves: attention roll-out where it has attention, Grad-CAM on the
feature maps that it marks with `layers.expose_features` where it has none. A heat map shows what
this model looked at; it is no proof of where a picture was altered.
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
    """Heat maps [B, h, w] (float32) of crops [B, S, S, 3], on the grid of features or patches.

    The largest value of a map is 1. By `roll_out` for a model that leaves its attention, by
    `grad_cam` for any other. Crops are uint8, or float in 0..1, as `steps.predict` takes them.

    Raises:
      UserError: the model leaves neither attention nor feature maps.
    """
    image = layers.resize(crops, image_size)
    left = jax.eval_shape(functools.partial(_intermediates, model=model), variables, image)
    method = roll_out if "pooling" in left else grad_cam
    with jax.default_matmul_precision("highest"):  # as `steps.predict`
        return method(variables, image, model=model, image_size=image_size)


def roll_out(
    variables: dict[str, Any], crops: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Heat maps by attention roll-out (Abnar and Zuidema, arXiv:2005.00928), as `heat_map`.

    In every block a token is, in equal shares, itself and what it attends to, the mean over the
    heads; the product over the blocks says how much of every patch is in the tokens that the logit
    is made of. That shows what was looked at, for either class: a map is as bright for a face
    called real as for one called fake.
    """
    left = _intermediates(variables, layers.resize(crops, image_size), model=model)
    (share,), (features,) = left["pooling"], left["features"]
    for name in reversed(list(_block_names(left))):
        (attention,) = left[name]["attention"]["attention"]
        # The mean first: then no block's heads have to be kept until the product is formed.
        seen = jnp.einsum("bt,bts->bs", share, attention.mean(1), precision="highest")
        share = (share + seen) / 2
    batch, rows, columns, _ = features.shape
    patches = share[:, share.shape[1] - rows * columns :]
    return _scaled(patches.reshape(batch, rows, columns))


def grad_cam(
    variables: dict[str, Any], crops: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Heat maps by Grad-CAM (Selvaraju et al., arXiv:1610.02391), as `heat_map`.

    They show what speaks for "fake": a map is 0 everywhere where nothing does.
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
    nothing = {"perturbations": {"features": jnp.zeros(shape.shape, shape.dtype)}}
    slope, features = jax.grad(logits_and_features, has_aux=True)(nothing)
    weight = slope["perturbations"]["features"].astype(jnp.float32).mean((1, 2), keepdims=True)
    return _scaled(nn.relu((weight * features.astype(jnp.float32)).sum(-1)))


def _intermediates(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module
) -> dict[str, Any]:
    """What the model leaves beside its logits."""
    _, state = model.apply(variables, image, train=False, mutable=["intermediates"])
    return state.get("intermediates", {})


def _block_names(intermediates: dict[str, Any]) -> Iterator[str]:
    """Names of the blocks from the first to the last; sorted as words, block10 would be second."""
    names = (f"block{number}" for number in itertools.count(1))
    return itertools.takewhile(intermediates.__contains__, names)


def _scaled(heat: jax.Array) -> jax.Array:
    """Maps [B, h, w] with 1 as their largest value."""
    return heat / jnp.maximum(heat.max((1, 2), keepdims=True), 1e-12)
