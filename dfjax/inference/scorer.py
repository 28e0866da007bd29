"""Crops to scores by whatever a model was saved as: a checkpoint or one of its exports.

Every runtime is given whole crops as the CropSpec cuts them; resizing and normalisation are part of
the model.
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
    """A loaded model; `runtime` is "flax" or a key of `runtimes.RUNTIMES`."""

    card: ModelCard
    runtime: str
    _logits: Function
    _heat_maps: Function | None

    def logits(self, crops: np.ndarray) -> np.ndarray:
        """The logits, float64 [N], of crops uint8 [N, S, S, 3]; N may be 0.

        Raises:
          UserError: another kind of array, or another size than the model's crops have.
        """
        return self._in_batches(self._logits, crops).astype(np.float64)

    def scores(self, crops: np.ndarray) -> np.ndarray:
        """P(fake), float64 [N], of crops as `logits` takes them."""
        return self.card.score(self.logits(crops))

    def heat_maps(self, crops: np.ndarray) -> np.ndarray | None:
        """Heat maps, float32 [N, h, w] in 0..1 (see `explain`); None: the export has none."""
        return None if self._heat_maps is None else self._in_batches(self._heat_maps, crops)

    def _in_batches(self, function: Function, crops: np.ndarray) -> np.ndarray:
        size = self.card.crop_spec.size
        if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, 3):
            raise UserError(
                f"crops are {crops.dtype} {list(crops.shape)}: give uint8 [N, {size}, {size}, 3]"
            )
        if not len(crops):
            return np.zeros(0, np.float32)
        parts = [crops[start : start + MAX_BATCH] for start in range(0, len(crops), MAX_BATCH)]
        return np.concatenate([function(_padded(part))[: len(part)] for part in parts])


def _padded(crops: np.ndarray) -> np.ndarray:
    """Adds rows up to a power of two: a runtime that compiles does so once per batch size."""
    missing = (1 << (len(crops) - 1).bit_length()) - len(crops)
    return np.pad(crops, ((0, missing), (0, 0), (0, 0), (0, 0)))


def load(path: str | os.PathLike, runtime: str | None = None) -> Scorer:
    """Returns the model at `path`: the workdir of a run, the folder of an export, or a file of it.

    `runtime` None takes the fastest of those that the export holds and that are installed; given
    one artefact of an export, of those that run it.

    Raises:
      UserError: no model is there, or not for this runtime, or of a format that is not read.
    """
    path = pathlib.Path(path)
    if (path / run.CONFIG_FILE).is_file():
        if runtime not in (None, "flax"):
            raise UserError(f"{path} is a run, for runtime flax: export it to use {runtime}")
        return _make_scorer(*Run.open(path).evaluated())
    known = runtimes.RUNTIMES
    if path.name in {each.artefact for each in known.values()}:
        known = {name: each for name, each in known.items() if each.artefact == path.name}
        path = path.parent
    runtimes.require_format(path)
    card = model_card.read(path)
    found = {name: each for name, each in known.items() if (path / each.artefact).exists()}
    usable = [name for name, each in found.items() if each.installed]
    if runtime is not None and runtime not in usable:
        raise UserError(f"{path} cannot be run by {runtime!r}: here it can by {usable}")
    if not usable:
        raise UserError(
            f"{path} holds artefacts for {list(found)}, none of them installed: "
            'pip install "dfjax[export]", or export another format'
        )
    chosen = found[runtime or usable[0]]
    heat_maps = path / runtimes.HEAT_MAPS
    return Scorer(
        card,
        runtime or usable[0],
        chosen.open(path / chosen.artefact),
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
