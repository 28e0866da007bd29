"""The mean and standard deviation of the images that weights were trained on.

Weights give wrong features, and no error, on images that are normalized otherwise. So a model takes
them only if its own constants are known to be the same.
"""

import json
import math
import pathlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from flax import linen as nn

from dfjax.errors import UserError
from dfjax.models import key_names, layers

_MAX_CONFIG = 2**20  # bytes of JSON


def in_metadata(metadata: Mapping[str, str]) -> key_names.Normalization:
    """Returns what the metadata of our own files state, or {}."""
    return _triples(_parse(metadata.get(name)) for name in ("mean", "std"))


def next_to(path: pathlib.Path) -> key_names.Normalization:
    """Returns what the configs of timm or Hugging Face in the folder of `path` state, or {}."""
    timm = _read_object(path.with_name("config.json")).get("pretrained_cfg")
    hugging_face = _read_object(path.with_name("preprocessor_config.json"))
    stated = _triples(timm.get(k) for k in ("mean", "std")) if isinstance(timm, dict) else {}
    return stated or _triples(hugging_face.get(k) for k in ("image_mean", "image_std"))


def require_same(
    stated: Mapping[str, Any], model: nn.Module, library: str, *, chosen: Collection[str] = ()
) -> None:
    """Makes sure that the weights were trained on images as `model` normalizes them.

    `stated` is what the file says: "mean" and "std", three numbers each in the 0..1 range of RGB.
    If it says nothing, the normalization that all weights by the names of `library` share counts.
    If they share none, ImageNet's constants pass, because most weights have them; other constants
    pass only if they are among the fields `chosen` for this model, because the family's defaults
    would be a guess.

    Raises:
      UserError: the constants differ, or are not known.
    """
    known = key_names.normalization(model, library) | stated
    for name in ("mean", "std"):
        theirs, ours = known.get(name), getattr(model, name)
        where = f"(config.model.{name}, or --set {name}=...)"
        if theirs is not None and not np.allclose(theirs, ours, atol=1e-3):
            raise UserError(
                f"the weights were trained with {name} {tuple(theirs)}, and the model normalizes "
                f"by {tuple(ours)}: set its {name} {where}"
            )
        usual = np.allclose(ours, layers.BY_IMAGENET[name], atol=1e-3)
        if theirs is None and not usual and name not in chosen:
            raise UserError(
                f"the file does not state the {name} of its training images, which differs between "
                f"weights by the names of {library}: set the model's {name} {where} to what their "
                f"publisher states; its default is {tuple(ours)}"
            )


def _read_object(path: pathlib.Path) -> dict[str, Any]:
    """The JSON object in a file; {} if there is none: such a file may belong to something else."""
    if not path.is_file() or path.stat().st_size > _MAX_CONFIG:
        return {}
    value = _parse(path.read_text(errors="replace"))
    return value if isinstance(value, dict) else {}


def _parse(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _triples(values: Iterable[Any]) -> key_names.Normalization:
    """{"mean", "std"} if both are three finite numbers, else {}."""
    triples = {}
    for name, value in zip(("mean", "std"), values, strict=True):
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 3 or not all(isinstance(n, int | float) for n in numbers):
            return {}
        if not all(map(math.isfinite, numbers)):
            return {}
        triples[name] = tuple(map(float, numbers))
    return triples
