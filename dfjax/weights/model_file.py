"""A trained model as one file of weights: data alone, which no reader runs as a program.

Safetensors by our names, unfolded, so that a run can begin with them (`init_from`) and an export
can be made of them. Kernels of `PACKED` weights and more take 16 bits a weight (`packed`).
"""

import json
import os
from typing import Any

import jax
import safetensors.numpy
from flax import traverse_util

from dfjax import models, tree
from dfjax.model_card import ModelCard
from dfjax.models import backbone
from dfjax.weights import convert, packed

PACKED = 50_000


def write(path: str | os.PathLike, variables: dict[str, Any], card: ModelCard) -> None:
    """Writes the variables of `Run.evaluated`; the same bytes for the same content."""
    from dfjax.weights import files  # loads the readers of all formats, which `read` does without

    leaves = dict(zip(tree.leaf_names(variables), jax.tree.leaves(variables), strict=True))
    files.write(path, packed.pack(leaves, at_least=PACKED), _metadata(card))


def read(path: str | os.PathLike, card: ModelCard) -> tuple[backbone.Backbone, dict[str, Any]]:
    """Returns (the card's model, its variables as numpy arrays), as `write` wrote them.

    Whoever calls this has compared the digest of the file.
    """
    leaves = packed.unpack(safetensors.numpy.load_file(path))
    return build(card), traverse_util.unflatten_dict(leaves, sep="/")


def build(card: ModelCard) -> backbone.Backbone:
    """Returns the model of a card, in float32."""
    return models.build(card.model_name, **card.model_arguments)


def _metadata(card: ModelCard) -> dict[str, str]:
    model = build(card)
    return {
        "format": convert.OURS,
        "model": card.model_name,
        "settings": json.dumps(card.model_arguments, sort_keys=True),
        "mean": json.dumps(model.mean),
        "std": json.dumps(model.std),
        "weights": card.weights,
    }
