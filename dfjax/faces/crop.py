"""The one path from a frame to face crops, for training, evaluation, prediction and serving."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dfjax.faces import align
from dfjax.faces.align import Crop
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import image as media_image


def as_stored(crop: Crop, spec: CropSpec) -> Crop:
    """Returns the crop as it comes back from a dataset of this spec: what a model is trained on."""
    if spec.encoding == "png":
        return crop
    stored = media_image.encode_image(crop.image, spec.encoding)
    return dataclasses.replace(crop, image=media_image.decode_image(stored))


def crop_faces(
    image: np.ndarray, finder: FaceDetector | VideoFaceDetector | None, spec: CropSpec
) -> list[Crop]:
    """Returns the face crops of an RGB uint8 frame [H, W, 3], largest face first.

    One at most with faces "largest"; none where no face is found. Crops "as-is" give exactly one,
    the whole picture, and take None for `finder`. A VideoFaceDetector takes the frames of one clip
    in order.

    Raises:
      UserError: `finder` was made with another spec.
    """
    if spec.crops == "as-is":
        return [align.resize_crop(image, spec)]
    spec.require_equal(finder.spec, "the FaceDetector")
    return cut_faces(image, finder.find(image), spec)


def cut_faces(image: np.ndarray, faces: Sequence[Face], spec: CropSpec) -> list[Crop]:
    """Returns the crops of these faces of a frame, sorted by size: one at most with "largest"."""
    if spec.faces == "largest":
        faces = faces[:1]
    return [align.align_face(image, face.landmarks, face.box, spec) for face in faces]
