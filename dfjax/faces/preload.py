"""Readies a process for files, so that those forked from it have nothing left to load."""

import numpy as np

from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.media import preload

_GREY = np.full((160, 160, 3), 128, np.uint8)


def load() -> None:
    """Runs every decoder and the face detector once; they use one thread from now on."""
    preload.load()
    touch()


def touch() -> None:
    """Looks for a face in a small grey picture: most of the memory that a task will need."""
    FaceDetector(CropSpec()).run_once(_GREY)
