"""A finished run as the folder of an export, or nothing.

Every artefact takes whole face crops and computes in float32; but for the plain weights, BatchNorm
is folded in. An export exists only if each artefact, loaded by its own runtime, gives the scores of
the run's own model.
"""

import functools
import os
import pathlib
import tempfile
from collections.abc import Collection
from typing import Any

import jax
from flax import linen as nn

from dfjax import compatibility, console, files, model_card, tree
from dfjax.errors import UserError
from dfjax.export import formats as export_formats
from dfjax.export import onnx_model, parity, savedmodel, source, stablehlo
from dfjax.export.source import Source
from dfjax.familiarity import gate
from dfjax.inference import explain, manifest
from dfjax.model_card import ModelCard
from dfjax.models import fold
from dfjax.report import published_card
from dfjax.run import Run
from dfjax.weights import model_file, shipped

FORMATS = tuple(export_formats.FORMATS)
_FOR_PEOPLE = {published_card.FILE, shipped.TERMS}
_FILES = export_formats.ARTEFACTS | {manifest.FILE, model_card.FILE} | _FOR_PEOPLE


def export(
    model: Source | Run | str | os.PathLike,
    out: str | os.PathLike,
    formats: Collection[str] = FORMATS,
) -> dict[str, Any]:
    """Writes a model, or that of a run or an export, as the folder `out`; returns a report.

    The report, also OUT/export.json, has under `deviations` for each artefact and runtime the
    largest differences of `score`, `logit` and `strangeness` (of a heat map: of its values) from
    the unfolded Flax model, over crops of the run's validation split (of an export: drawn faces),
    and under `sha256` the digest of every file. MODEL_CARD.md tells people what the model is. An
    older export in `out` is replaced.

    Raises:
      UserError: no evaluated run, nor an export with weights; the run's validation data are gone;
        an unknown format or one whose packages are missing; `out` holds something else; an
        artefact deviates by more than `parity.tolerance`. `out` is then as it was.
    """
    out = pathlib.Path(out).absolute()
    export_formats.require_packages(formats)
    _require_free(out)
    files.require_writable(out.parent)
    opened = source.open_source(model)
    card, network, variables = opened.card, opened.model, opened.variables
    # Each artefact holds the weights; two more copies are made while it is written.
    num_artefacts = sum(len(export_formats.FORMATS[name].artefacts) for name in formats)
    num_bytes = (num_artefacts + 2) * tree.num_bytes(variables)
    files.require_space(out.parent, num_bytes, f"{num_artefacts} artefacts of this model")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Compiling a model for every runtime takes a minute, or several, in which nothing else is said.
    console.print_line(f"writing {', '.join(formats)}, and comparing each with the model")
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as parent:
        folder = pathlib.Path(parent, "new")
        folder.mkdir()
        write(folder, card, network, variables, formats)
        deviations = parity.compare(folder, card, network, variables, opened.crops)
        parity.require_equal(deviations)
        files.replace_text(folder / published_card.FILE, opened.published)
        if opened.terms is not None:
            files.replace_text(folder / shipped.TERMS, opened.terms)
        report = manifest.write(folder, _report(opened, deviations))
        if out.exists():
            out.rename(pathlib.Path(parent, "old"))
        folder.rename(out)
    return report


def write(
    folder: pathlib.Path,
    card: ModelCard,
    model: nn.Module,
    variables: dict[str, Any],
    formats: Collection[str] = FORMATS,
) -> None:
    """Writes artefacts of a float32 model, unfolded, and its card into an empty folder.

    `variables` are numpy arrays, those of `Run.evaluated`. Nothing is compared.
    """
    if "safetensors" in formats:
        model_file.write(folder / export_formats.WEIGHTS, variables, card)
    statistics = {gate.COLLECTION: variables[gate.COLLECTION]} if card.maps else {}
    model, folded = fold.fold(model, variables)
    variables = {**folded, **statistics}
    bound = {"model": model, "image_size": card.image_size}
    predict = functools.partial(gate.predict, **bound, maps=card.maps)
    if "savedmodel" in formats:
        savedmodel.write(folder / export_formats.SAVED_MODEL, predict, variables, card)
    if "stablehlo" in formats:
        heat_map = functools.partial(explain.heat_map, **bound)
        stablehlo.write(folder / export_formats.SCORE, predict, variables, card)
        stablehlo.write(folder / export_formats.HEAT_MAPS, heat_map, variables, card)
    if "onnx" in formats:
        onnx_model.write(folder / export_formats.ONNX, predict, variables, card)
    card.write(folder)


def _report(opened: Source, deviations: parity.Deviations) -> dict[str, Any]:
    card = opened.card
    return {
        "format": compatibility.EXPORT.current,
        "model": card.model_name,
        "weights": card.weights,
        "step": card.step,
        "jax": jax.__version__,
        "crops": len(opened.crops),
        "crops_are": opened.crops_are,
        "batch_sizes": list(parity.BATCH_SIZES),
        "tolerance": {artefact: parity.tolerance(artefact) for artefact in deviations},
        "deviations": deviations,
    }


def _require_free(out: pathlib.Path) -> None:
    """Refuses to replace anything but an export."""
    if not out.exists():
        return
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    if names and (manifest.FILE not in names or names - _FILES):
        raise UserError(f"{out} holds something else than an export: give a new folder")
