"""What a gate looks at: feature maps of a backbone, averaged over a coarse grid.

Two places of a network: an early one with what is fine (texture, noise, blur), a middle one with
what is where. The last maps serve worse, because a classifier forgets what its classes do not
differ in; docs/decisions.md has the figures.
"""

import functools
import re
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn

from dfjax.models import layers

# Name of a part of the network and cells per side of the grid that its maps are averaged over.
Maps: TypeAlias = tuple[tuple[str, int], ...]

LAST = "features"  # the last maps (`layers.expose_features`), which every network has
# Input pixels per cell of a map, and cells per side of the grid.
_WANTED = ((8, 2), (16, 4))
_SLACK = 1.2  # convolutions without padding lose a border
# Parts whose output is the same when norms are folded.
_PART = re.compile(r"(stage\d+_)?(block|inception)\d+")


def choose_maps(model: nn.Module, variables: dict[str, Any], image_size: int) -> Maps:
    """Returns the last maps that are fine enough for each of the two places.

    Of a network without such parts, or of tokens, the last maps alone.
    """
    sides = _map_sides(model, variables, image_size)
    chosen = {}
    for stride, cells in _WANTED:
        fitting = [name for name, side in sides.items() if side * stride * _SLACK >= image_size]
        if fitting:
            chosen[fitting[-1]] = cells
    return tuple(chosen.items()) or ((LAST, _WANTED[-1][1]),)


def _map_sides(model: nn.Module, variables: dict[str, Any], image_size: int) -> dict[str, int]:
    """The side of the maps of every part of a network, in the order of computation."""
    order: list[str] = []

    def is_part(module: nn.Module, _: str) -> bool:
        found = len(module.path) == 1 and _PART.fullmatch(module.name) is not None
        if found:
            order.append(module.name)
        return found

    image = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.uint8)
    look = functools.partial(_intermediates, model=model, capture=is_part)
    _, shapes = jax.eval_shape(look, variables, image)
    maps = {name: _output(shapes, name) for name in (*order, LAST)}
    return {name: shape.shape[1] for name, shape in maps.items() if len(shape.shape) == 4}


def apply(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module, maps: Maps
) -> tuple[jax.Array, jax.Array]:
    """Returns (logits [B], features [B, D]) of images of the network's size, both float32."""
    names = {name for name, _ in maps}
    logit, state = _intermediates(
        variables, image, model=model, capture=lambda module, _: module.name in names
    )
    pooled = [_pool(_output(state, name), cells) for name, cells in maps]
    return logit, jnp.concatenate(pooled, axis=1)


def _intermediates(
    variables: dict[str, Any], image: jax.Array, *, model: nn.Module, capture: Any
) -> tuple[jax.Array, dict[str, Any]]:
    logit, state = model.apply(
        variables, image, train=False, mutable=["intermediates"], capture_intermediates=capture
    )
    return logit, state["intermediates"]


def _output(intermediates: dict[str, Any], name: str) -> jax.Array:
    found = intermediates[name]
    return found[0] if name == LAST else found["__call__"][0]


def _pool(maps: jax.Array, cells: int) -> jax.Array:
    """The means [B, cells * cells * C] of maps [B, H, W, C] over the cells of a grid."""
    return layers.resize(maps.astype(jnp.float32), cells).reshape(maps.shape[0], -1)
