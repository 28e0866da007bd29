"""Where in a crop the evidence for "fake" lies.

Grad-CAM (Selvaraju et al., arXiv:1610.02391) on the feature maps that a model marks with
`layers.expose_features`. A heat map shows what this model looked at; it is no proof of where a
picture was altered.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import layers


def grad_cam(
    variables: dict[str, Any], crops: jax.Array, *, model: nn.Module, image_size: int
) -> jax.Array:
    """Heat maps [B, h, w] (float32) of crops [B, S, S, 3], on the grid of the feature maps.

    The largest value of a map is 1; a map is 0 everywhere where nothing speaks for "fake". Crops
    are uint8, or float in 0..1, as `steps.predict` takes them.

    Raises:
      ValueError: the model marks no feature maps.
    """
    image = layers.resize(crops, image_size)

    def logits_and_features(perturbations: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
        logit, state = model.apply(
            {**variables, **perturbations}, image, train=False, mutable=["intermediates"]
        )
        marked = state.get("intermediates", {}).get("features")
        if marked is None:
            raise ValueError(f"{type(model).__name__} marks no features: it has no heat map")
        return logit.sum(), marked[0]

    _, shape = jax.eval_shape(logits_and_features, {})
    nothing = {"perturbations": {"features": jnp.zeros(shape.shape, shape.dtype)}}
    slope, features = jax.grad(logits_and_features, has_aux=True)(nothing)
    weight = slope["perturbations"]["features"].astype(jnp.float32).mean((1, 2), keepdims=True)
    heat = nn.relu((weight * features.astype(jnp.float32)).sum(-1))
    return heat / jnp.maximum(heat.max((1, 2), keepdims=True), 1e-12)
