"""The statistics of a run's gate: a file next to its model card.

An export has no such file: there they are in every artefact, as weights are.
"""

import os
import pathlib

import numpy as np
import safetensors
import safetensors.numpy

from dfjax import files, tree
from dfjax.errors import UserError
from dfjax.familiarity.gate import Statistics
from dfjax.model_card import Embedding

FILE = "familiarity.safetensors"


def write(workdir: str | os.PathLike, statistics: Statistics) -> None:
    """Writes the statistics into the folder of a run, whole or not at all."""
    # Copies in C order: safetensors writes the bytes of any other order under the same shape.
    arrays = {k: np.array(v, np.float32, order="C") for k, v in statistics._asdict().items()}
    with files.replacing(pathlib.Path(workdir, FILE)) as unfinished:
        unfinished.write_bytes(safetensors.numpy.save(arrays))


def read(workdir: str | os.PathLike, embedding: Embedding) -> Statistics:
    """Returns the statistics that a model card is about.

    Raises:
      UserError: they are missing, damaged, or those of another card.
    """
    path = pathlib.Path(workdir, FILE)
    remedy = f"evaluate the run again (dfjax evaluate --model {workdir})"
    try:
        statistics = Statistics(**safetensors.numpy.load_file(path))
    except FileNotFoundError:
        raise UserError(f"{path} is missing, and the model card needs it: {remedy}") from None
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}") from error
    if digest(statistics) != embedding.statistics:
        raise UserError(f"{path} is not what the model card was written with: {remedy}")
    return statistics


def digest(statistics: Statistics) -> str:
    """Returns the SHA-256 of names, shapes and values."""
    return tree.digest(statistics._asdict())
