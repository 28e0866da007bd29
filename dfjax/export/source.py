"""What is exported: an evaluated run, or an export that holds the weights."""

import dataclasses
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from dfjax import model_card, run_folder
from dfjax.errors import UserError
from dfjax.export import formats, parity
from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.inference import manifest
from dfjax.media import image as media_image
from dfjax.model_card import ModelCard, Release
from dfjax.report import published_card, results
from dfjax.run import Run
from dfjax.weights import model_file, shipped


class Source(NamedTuple):
    """A model, unfolded, and what an export needs beside it.

    Attributes:
      card: what it is and how it decides.
      model: the network in float32.
      variables: its variables as numpy arrays.
      published: the text of MODEL_CARD.md.
      crops: what artefacts are compared on, uint8 [N, S, S, 3], N of the largest batch.
      crops_are: what these are, plural.
      terms: the text of TERMS.md; None: there is no such file.
    """

    card: ModelCard
    model: nn.Module
    variables: dict[str, Any]
    published: str
    crops: np.ndarray
    crops_are: str
    terms: str | None = None


def open_source(model: Source | Run | str | os.PathLike) -> Source:
    """Returns the model of a run, or of the run or export in a folder.

    Raises:
      UserError: there is none, a run that was not evaluated or whose validation data are gone, or
        an export without `formats.WEIGHTS`.
    """
    if isinstance(model, Source):
        return model
    if isinstance(model, Run):
        return of_run(model)
    folder = pathlib.Path(model)
    return of_run(Run.open(folder)) if run_folder.is_run(folder) else _of_export(folder)


def of_run(run: Run, release: Release | None = None) -> Source:
    """Returns the model of a run, whose card gets `release`; raises as `open_source`."""
    crops = _validation_crops(run)
    card, model, variables = run.evaluated()
    card = dataclasses.replace(card, release=release)
    published = published_card.render(
        card,
        init_from=run.config.get("init_from", ""),
        prepared=run.dataset.metadata,
        results=results.find(run.workdir / "eval", card.weights),
    )
    return Source(card, model, variables, published, crops, "validation crops")


def _of_export(folder: pathlib.Path) -> Source:
    files = manifest.read(folder)
    if formats.WEIGHTS not in files.sha256:
        raise UserError(
            f"{folder} is an export without {formats.WEIGHTS}: give the run that it was made of"
        )
    card = model_card.read(files.require(model_card.FILE).parent)
    model, variables = model_file.read(files.require(formats.WEIGHTS), card)
    published = files.require(published_card.FILE).read_text(encoding="utf-8")
    terms = None
    if shipped.TERMS in files.sha256:
        terms = files.require(shipped.TERMS).read_text(encoding="utf-8")
    crops = _drawn_faces(card.crop_spec)
    return Source(card, model, variables, published, crops, "drawn faces", terms)


def _validation_crops(run: Run) -> np.ndarray:
    """Crops spread over the validation split; one of fewer crops gives some of them twice."""
    records = run.dataset.records(run.config.data.val_split)
    rows = np.linspace(0, len(records) - 1, max(parity.BATCH_SIZES), dtype=int)
    return np.stack([media_image.decode_image(records[int(row)]["image"]) for row in rows])


def _drawn_faces(spec: CropSpec) -> np.ndarray:
    """Pictures of drawn people, for where no crops are at hand."""
    from dfjax.corpora.synthetic import corpus, settings  # loads PyAV, which runs do without

    drawn = settings.Settings(frames=1)
    people = range(max(parity.BATCH_SIZES))
    faces = [corpus.film(drawn, person, 0).frames[0] for person in people]
    return np.stack([align.resize_crop(face, spec).image for face in faces])
