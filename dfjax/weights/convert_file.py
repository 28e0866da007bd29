"""One file of weights becomes another: ours, for a model, to start runs from."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from dfjax import files as dfjax_files
from dfjax import models, tree
from dfjax.weights import convert, files, normalization, sources


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Which tensors were read and written: their shapes, by names like "layer/kernel".

    Attributes:
      library: whose names the source uses.
      used: variables of the model that were written.
      dropped: tensors of the source that were not used; counters have names like "counters/...".
      reinitialized: variables of the model that were not written.
    """

    library: str
    used: dict[str, tuple[int, ...]]
    dropped: dict[str, tuple[int, ...]]
    reinitialized: dict[str, tuple[int, ...]]


def convert_weights(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    model_name: str,
    settings: Mapping[str, Any],
    reinit: str,
    format: str | None = None,
) -> Conversion:
    """Writes safetensors with the names and layouts of a model.

    `source` and `format` are those of `files.read`; `settings` are fields of the model. Parameters
    that match the regular expression `reinit` are not written; "" is none.

    Raises:
      UserError: the weights cannot be read, do not fit the model, or were trained on images that
        were normalized differently, or in an unknown way.
    """
    model = models.build(model_name, **settings)
    dfjax_files.require_replaceable(out)
    file = files.read(source, format)
    like = _abstract_variables(model)
    variables, transfer = convert.convert(
        file.tensors, model, like, reinit=reinit, made_for=file.metadata.get("model", "")
    )
    normalization.require_same(file.normalization, model, transfer.library, chosen=settings)
    tensors = dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))
    metadata = {
        "format": convert.OURS,
        "model": model_name,
        "settings": json.dumps(dict(settings), sort_keys=True),
        "mean": json.dumps(model.mean),
        "std": json.dumps(model.std),
        "source": sources.locate(os.fspath(source))[1].name,
        "sha256": file.sha256,
    }
    reinitialized = {name: tensors.pop(name) for name in transfer.reinitialized}
    files.write(out, tensors, metadata)
    dropped = {_readable(name): np.shape(file.tensors[name]) for name in transfer.dropped}
    return Conversion(transfer.library, _shapes(tensors), dropped, _shapes(reinitialized))


def _abstract_variables(model: nn.Module) -> dict[str, Any]:
    image = jnp.zeros((1, model.native_size, model.native_size, 3), jnp.uint8)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    return {name: variables[name] for name in ("params", "batch_stats") if name in variables}


def _readable(name: str) -> str:
    """The name of a dropped tensor with our separator; counters are one group."""
    return f"counters/{name}" if name.endswith(convert.COUNTERS) else name.replace(".", "/")


def _shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes by name, without the collection."""
    return {name.split("/", 1)[1]: np.shape(value) for name, value in variables.items()}
