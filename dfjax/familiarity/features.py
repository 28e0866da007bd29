"""What a gate looks at: feature maps of a backbone, averaged over a coarse grid, and fine detail.

Two places of a network: an early one with what is fine (texture, noise), a middle one with what is
where. A network may be blind to blur, so the detail of the picture itself is among the features.
The last maps serve worse, because a classifier forgets what its classes do not
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

DETAIL = "detail"  # of the picture: how strong its Laplacian is, the last of the maps
LAST = "features"  # the last maps (`layers.expose_features`), which every network has
# Input pixels per cell of a map, and cells per side of the grid.
_WANTED = ((8, 2), (16, 4))
_SLACK = 1.2  # convolutions without padding lose a border
_DETAIL_CELLS = 2
_FAINT = 0.0004  # a tenth of a grey level, so that a surface without any has a logarithm
# Parts whose output is the same when norms are folded.
_PART = re.compile(r"(stage\d+_)?(block|inception)\d+")


def choose_maps(model: nn.Module, variables: dict[str, Any], image_size: int) -> Maps:
    """Returns the last maps that are fine enough for each of the two places, and `DETAIL`.

    Of a network without such parts, or of tokens, the last maps and `DETAIL`.
    """
    sides = _map_sides(model, variables, image_size)
    chosen = {}
    for stride, cells in _WANTED:
        fitting = [name for name, side in sides.items() if side * stride * _SLACK >= image_size]
        if fitting:
            chosen[fitting[-1]] = cells
    chosen = chosen or {LAST: _WANTED[-1][1]}
    return (*chosen.items(), (DETAIL, _DETAIL_CELLS))


def count_details(maps: Maps) -> int:
    """Returns how many of the features, the last of them, are those of `DETAIL`."""
    return dict(maps).get(DETAIL, 0) ** 2


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
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Returns (what the head says, features [B, D], float32) of images of the network's size.

    The head says its `logit`, float32 [B], and its `attention`, where it has one: how much a frame
    counts in its clip, as a logarithm. Without `maps`, D is 0.
    """
    names = {name for name, _ in maps}
    logit, state = _intermediates(
        variables, image, model=model, capture=lambda module, _: module.name in names
    )
    said = {"logit": logit}
    if model.clip_attention:
        said["attention"] = state["head"]["log_weight"][0]
    pooled = [
        _pool_detail(image, cells) if name == DETAIL else _pool(_output(state, name), cells)
        for name, cells in maps
    ]
    nothing = jnp.zeros((image.shape[0], 0), jnp.float32)
    return said, jnp.concatenate(pooled, axis=1) if pooled else nothing


def _pool_detail(image: jax.Array, cells: int) -> jax.Array:
    """The logarithms [B, cells * cells] of the means of the luma's Laplacian, without its sign."""
    if image.dtype == jnp.uint8:  # others are in 0..1
        image = image.astype(jnp.float32) / 255.0
    luma = image @ jnp.array([0.299, 0.587, 0.114], jnp.float32)
    across = luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:] + luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1]
    laplacian = jnp.abs(across - 4 * luma[:, 1:-1, 1:-1])
    return jnp.log(_pool(laplacian[..., None], cells) + _FAINT)


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
