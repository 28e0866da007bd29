"""Faces that no camera took, drawn by the program that draws the synthetic corpus.

Parts of a drawn face lie where those of a photographed one do: nothing that is made from
photographs teaches a gate what a drawing looks like.
"""

import numpy as np

from dfjax import progress
from dfjax.corpora.synthetic import head, scene
from dfjax.faces import crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import FaceDetector
from dfjax.media import encode

_JPEG_QUALITY = (60, 96)


def make(count: int, spec: CropSpec, rng: np.random.Generator) -> np.ndarray:
    """Returns crops uint8 [N, S, S, 3], each of another person, framed as `spec` frames faces.

    With crops "as-is", they are framed as aligned crops are by default.
    """
    framed = ("size",) if spec.crops == "as-is" else ("size", "scale", "center", "landmarks")
    # How faces are found matters for photographs; drawings are small, and HOG finds them.
    spec = CropSpec(**{name: getattr(spec, name) for name in framed})
    detector = FaceDetector(spec)
    crops: list[np.ndarray] = []
    with progress.Progress("draw faces to refuse", count) as bar:
        while len(crops) < count:
            frame = scene.film(head.make_identity(rng), 1, rng).frames[0]
            found = crop.cut_faces(frame, detector.detect(frame)[:1], spec)
            quality = int(rng.integers(*_JPEG_QUALITY))
            crops += [encode.recode_picture(one.image, "jpeg", quality) for one in found]
            bar.update(len(crops))
    return np.stack(crops)
