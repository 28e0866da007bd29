"""Crops to scores by whatever a model was saved as: a checkpoint or one of its exports.

Every runtime takes whole crops as the CropSpec cuts them; resizing and normalization are part of
the model. Must not import `train`, nor at the top what only one kind of model needs: an export is
judged by without JAX where its runtime does without.
"""

import dataclasses
import functools
import logging
import os
import pathlib

import numpy as np

from dfjax import model_card, run_folder
from dfjax.buckets import workdir as bucket_workdir
from dfjax.errors import UserError
from dfjax.inference import manifest, runtimes
from dfjax.inference.manifest import Manifest
from dfjax.inference.network import OUTPUTS, Function, Network
from dfjax.model_card import ModelCard
from dfjax.weights import shipped

_log = logging.getLogger(__name__)

MAX_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A loaded model.

    Attributes:
      card: its model card.
      runtime: a key of `runtimes.RUNTIMES`; "flax" for a run.
    """

    card: ModelCard
    runtime: str
    _network: Network
    _heat_maps: Function | None

    def outputs(self, crops: np.ndarray) -> np.ndarray:
        """Returns what the model says of crops uint8 [N, S, S, 3], float64 [N, 3]; N may be 0.

        The columns are `network.OUTPUTS`, NaN where the model does not say that.

        Raises:
          ValueError: the crops have another type or shape than those of the model's CropSpec.
        """
        found = self._in_batches(self._columns, crops)
        return found.astype(np.float64).reshape(-1, len(OUTPUTS))

    def logits(self, crops: np.ndarray) -> np.ndarray:
        """Returns the logits, float64 [N], of crops as `outputs` takes them."""
        return self.outputs(crops)[:, 0]

    def scores(self, crops: np.ndarray) -> np.ndarray:
        """Returns P(fake), float64 [N], of crops as `outputs` takes them."""
        return self.card.score(self.logits(crops))

    def heat_maps(self, crops: np.ndarray) -> np.ndarray | None:
        """Returns heat maps, float32 [N, h, w] in 0..1 (see `explain`), or None if it has none."""
        return None if self._heat_maps is None else self._in_batches(self._heat_maps, crops)

    @property
    def has_heat_maps(self) -> bool:
        """Whether it can show where it looked."""
        return self._heat_maps is not None

    def _columns(self, crops: np.ndarray) -> np.ndarray:
        found = self._network(crops)
        unknown = np.full(len(crops), np.nan)
        return np.stack([np.float64(found.get(name, unknown)) for name in OUTPUTS], axis=1)

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


def load(
    path: str | os.PathLike = shipped.DETECTOR,
    runtime: str | None = None,
    *,
    expect: str | None = None,
) -> Scorer:
    """Returns the model at `path`: the workdir of a run, the folder of an export, or a file of it.

    Without a path it is the detector that comes with dfjax, of which the log then says what it is.
    `runtime` None is the fastest one that is installed and has an artefact in the export; if `path`
    is one artefact, the fastest that runs it. Where one of both is given and the artefact cannot
    run programs (ONNX), nothing but this artefact is opened, so there are no heat maps. `expect`
    is the SHA-256 of the export's export.json.

    A run, and any other artefact, is a program: load none that you do not trust.

    Raises:
      UserError: there is no model, none for this runtime, one of a format that is not read, another
        export than `expect`, or one whose files were changed.
    """
    path = pathlib.Path(bucket_workdir.fetched(path))
    if run_folder.is_run(path):
        if runtime not in (None, "flax"):
            raise UserError(f"{path} is a run, for runtime flax: export it to use {runtime}")
        if expect is not None:
            raise UserError(f"{path} is a run, and --expect is for exports: leave it out")
        return _open_run(path)
    artefact = None
    if path.name in {known.artefact for known in runtimes.RUNTIMES.values()}:
        path, artefact = path.parent, path.name
    model = _open_export(manifest.read(path, expect), runtime, artefact)
    if path == shipped.DETECTOR:
        _log.warning("%s (%s)", model.card.release, path / shipped.TERMS)
    return model


def _open_run(workdir: pathlib.Path) -> Scorer:
    from dfjax.inference import flax_runtime

    card, network, heat_maps = flax_runtime.open_run(workdir)
    return Scorer(card, "flax", network, heat_maps)


def _open_export(files: Manifest, runtime: str | None, artefact: str | None) -> Scorer:
    card = model_card.read(files.require(model_card.FILE).parent)
    name = _choose_runtime(files, runtime, artefact)
    chosen = runtimes.RUNTIMES[name]
    if name == "flax":
        return _open_weights(files.require(chosen.artefact), card)
    network = chosen.open(files.require(chosen.artefact))
    heat_maps = None
    alone = not chosen.runs_programs and (runtime or artefact) is not None
    if not alone and (files.folder / runtimes.HEAT_MAPS).exists():
        files.require(runtimes.HEAT_MAPS)  # now, although it is opened later
        heat_maps = _open_at_first_use(files, runtimes.HEAT_MAPS)
    return Scorer(card, name, network, heat_maps)


def _open_weights(path: pathlib.Path, card: ModelCard) -> Scorer:
    from dfjax.inference import flax_runtime

    return Scorer(card, "flax", *flax_runtime.open_weights(path))


def _open_at_first_use(files: Manifest, name: str) -> Function:
    """A StableHLO artefact as a function that loads it, and JAX, when it is first called."""
    opened = functools.cache(lambda: runtimes.open_heat_maps(files.require(name)))
    return lambda crops: opened()(crops)


def _choose_runtime(files: Manifest, runtime: str | None, artefact: str | None) -> str:
    """The runtime asked for, or the fastest that is installed and runs `artefact` (None: any)."""
    exported = [
        name
        for name, known in runtimes.RUNTIMES.items()
        if artefact in (None, known.artefact) and (files.folder / known.artefact).exists()
    ]
    if not exported:
        raise UserError(f"{files.folder} lacks what runs the model; {files.remedy}")
    usable = [name for name in exported if runtimes.RUNTIMES[name].installed]
    if runtime is not None and runtime not in usable:
        raise UserError(f"{files.folder} cannot be run by {runtime!r}: here it can by {usable}")
    if not usable:
        raise UserError(
            f"{files.folder} holds artefacts for {exported}, none of them installed: "
            'pip install "dfjax[export]", or export another format'
        )
    return runtime or usable[0]
