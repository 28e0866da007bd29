"""The one path from a frame to face crops, for training, evaluation, prediction and serving."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dfjax.faces import align
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face
from dfjax.media import image as media_image


def as_stored(crop: Crop, spec: CropSpec) -> Crop:
    """Returns the crop as a dataset of this spec would return it: what a model is trained on."""
    if spec.encoding == "png":
        return crop
    stored = media_image.encode_image(crop.image, spec.encoding)
    return dataclasses.replace(crop, image=media_image.decode_image(stored))


def cut_faces(image: np.ndarray, faces: Sequence[Face], spec: CropSpec) -> list[Crop]:
    """Returns the crops of these faces of an RGB uint8 frame [H, W, 3], in the order of `faces`.

    With `spec.faces` "largest" only the first is cut: detectors sort faces by size. With
    `spec.crops` "as-is" the one crop is the whole picture, and `faces` is not read.
    """
    if spec.crops == "as-is":
        return [align.resize_crop(image, spec)]
    if spec.faces == "largest":
        faces = faces[:1]
    return [align.align_face(image, face.landmarks, face.box, spec) for face in faces]
