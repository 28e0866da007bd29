"""Crops to scores by whatever a model was saved as: a checkpoint or one of its exports.

Every runtime takes whole crops as the CropSpec cuts them; resizing and normalization are part of
the model. Must not import `train`.
"""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dfjax import model_card, run, steps
from dfjax.errors import UserError
from dfjax.inference import explain, runtimes
from dfjax.inference.runtimes import Function
from dfjax.model_card import ModelCard
from dfjax.run import Run

MAX_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A loaded model.

    Attributes:
      card: its model card.
      runtime: "flax" or a key of `runtimes.RUNTIMES`.
    """

    card: ModelCard
    runtime: str
    _logits: Function
    _heat_maps: Function | None

    def logits(self, crops: np.ndarray) -> np.ndarray:
        """Returns the logits, float64 [N], of crops uint8 [N, S, S, 3]; N may be 0.

        Raises:
          ValueError: the crops have another type or shape than those of the model's CropSpec.
        """
        return self._in_batches(self._logits, crops).astype(np.float64)

    def scores(self, crops: np.ndarray) -> np.ndarray:
        """Returns P(fake), float64 [N], of crops as `logits` takes them."""
        return self.card.score(self.logits(crops))

    def heat_maps(self, crops: np.ndarray) -> np.ndarray | None:
        """Returns heat maps, float32 [N, h, w] in 0..1 (see `explain`), or None if it has none."""
        return None if self._heat_maps is None else self._in_batches(self._heat_maps, crops)

    def _in_batches(self, function: Function, crops: np.ndarray) -> np.ndarray:
        size = self.card.crop_spec.size
        if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, 3):
            raise ValueError(
                f"crops are {crops.dtype} {list(crops.shape)}: give uint8 [N, {size}, {size}, 3]"
            )
        if not len(crops):
            return np.zeros(0, np.float32)
        parts = [crops[start : start + MAX_BATCH] for start in range(0, len(crops), MAX_BATCH)]
        return np.concatenate([function(_padded(part))[: len(part)] for part in parts])


def _padded(crops: np.ndarray) -> np.ndarray:
    """Pads to a power of two: a runtime that compiles does so once per batch size."""
    missing = (1 << (len(crops) - 1).bit_length()) - len(crops)
    return np.pad(crops, ((0, missing), (0, 0), (0, 0), (0, 0)))


def load(path: str | os.PathLike, runtime: str | None = None) -> Scorer:
    """Returns the model at `path`: the workdir of a run, the folder of an export, or a file of it.

    `runtime` None is the fastest one that is installed and has an artefact in the export; if `path`
    is one artefact, the fastest that runs it.

    Raises:
      UserError: there is no model, none for this runtime, or one of a format that is not read.
    """
    path = pathlib.Path(path)
    if (path / run.CONFIG_FILE).is_file():
        if runtime not in (None, "flax"):
            raise UserError(f"{path} is a run, for runtime flax: export it to use {runtime}")
        return _make_scorer(*Run.open(path).evaluated())
    known = runtimes.RUNTIMES
    if path.name in {candidate.artefact for candidate in known.values()}:
        known = {name: known[name] for name in known if known[name].artefact == path.name}
        path = path.parent
    runtimes.require_format(path)
    card = model_card.read(path)
    exported = {name: known[name] for name in known if (path / known[name].artefact).exists()}
    usable = [name for name in exported if exported[name].installed]
    if runtime is not None and runtime not in usable:
        raise UserError(f"{path} cannot be run by {runtime!r}: here it can by {usable}")
    if not usable:
        raise UserError(
            f"{path} holds artefacts for {list(exported)}, none of them installed: "
            'pip install "dfjax[export]", or export another format'
        )
    name = runtime or usable[0]
    heat_maps = path / runtimes.HEAT_MAPS
    return Scorer(
        card,
        name,
        exported[name].open(path / exported[name].artefact),
        runtimes.open_stablehlo(heat_maps) if heat_maps.exists() else None,
    )


def _make_scorer(card: ModelCard, model: nn.Module, variables: dict[str, Any]) -> Scorer:
    # On one device: on all of them, each would compute the same.
    variables = jax.device_put(variables, jax.local_devices()[0])
    bound = {"model": model, "image_size": card.image_size}
    predict = jax.jit(functools.partial(steps.predict, **bound))
    heat_map = jax.jit(functools.partial(explain.heat_map, **bound))
    return Scorer(
        card,
        "flax",
        lambda crops: np.asarray(predict(variables, crops)),
        lambda crops: np.asarray(heat_map(variables, crops)),
    )
