"""Whose face it is: dlib's face recognition, computed by `models.dlib_resnet` from dlib's weights.

dlib's own code embeds one face at a time (76 ms on a core). This code embeds batches on the device
that JAX uses (10 ms a face on two cores), and gives the same vectors to 1e-5.
"""

import functools
import os

import jax
import numpy as np

from dfjax import models, steps
from dfjax.faces import detect
from dfjax.weights import convert, files, normalization

BATCH = 32  # faces; other numbers are padded to a multiple of it


class FaceEmbedder:
    """Embeds faces; vectors less than `detect.SAME_PERSON` apart count as one person."""

    def __init__(self, model_dir: str | os.PathLike | None = None):
        """`model_dir` as that of `FaceDetector`.

        Raises:
          FileNotFoundError: the file of weights is missing.
          UserError: it is damaged.
        """
        file = files.read(detect.embedding_file(model_dir))
        model = models.for_backend(models.build("dlib_resnet"))
        size = model.native_size
        image = jax.ShapeDtypeStruct((1, size, size, 3), np.uint8)
        shapes = {"params": jax.eval_shape(model.init, jax.random.key(0), image)["params"]}
        like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)  # of the head
        variables, transfer = convert.convert(file.tensors, model, like, reinit="head/.*")
        normalization.require_same(file.normalization, model, transfer.library)
        self._variables = jax.device_put(variables)
        self._embed = jax.jit(functools.partial(steps.embed, model=model, image_size=size))

    def embed(self, chips: np.ndarray) -> np.ndarray:
        """Returns the vectors, float32 [N, 128], of uint8 chips [N, 150, 150, 3], N >= 1.

        Chips are what `detect.face_chip` cuts out.
        """
        if len(chips) == 1:
            return np.asarray(self._embed(self._variables, chips))
        # One shape for any number of chips, because each new shape would be compiled.
        missing = -len(chips) % BATCH
        padded = np.concatenate([chips, np.zeros((missing, *chips.shape[1:]), chips.dtype)])
        parts = [
            np.asarray(self._embed(self._variables, padded[start : start + BATCH]))
            for start in range(0, len(padded), BATCH)
        ]
        return np.concatenate(parts)[: len(chips)]
