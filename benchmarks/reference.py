"""The preparation of DeepfakeBench (Yan et al. 2023), re-implemented: the peer of `preparation`.

It searches every frame by HOG at double size, aligns the largest face by its landmarks, searches
the crop again and writes PNG, in one process. It uses 68 landmarks where DeepfakeBench uses 81. No
code of dfjax decides which face is taken.
"""

import importlib.util
import pathlib
import tempfile

import cv2
import dlib
import numpy as np

from dfjax.faces import align
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face

LANDMARK_FILE = "shape_predictor_68_face_landmarks.dat"


class ReferencePreparation:
    """Crops faces as the reference does, into a folder."""

    def __init__(self, spec: CropSpec, folder: str):
        """Of `spec`, only the size and the template of the crops are used."""
        package = importlib.util.find_spec("face_recognition_models")
        model_dir = pathlib.Path(package.submodule_search_locations[0], "models")
        self._search = dlib.get_frontal_face_detector()
        self._regress = dlib.shape_predictor(str(model_dir / LANDMARK_FILE))
        self._spec, self._folder = spec, folder

    def crop(self, frame: np.ndarray) -> Face | None:
        """Writes the crop of the largest face of RGB uint8 [H, W, 3]; returns that face."""
        face = self._largest(frame)
        if face is None:
            return None
        matrix = align.similarity(align.anchors(face.landmarks), align.template(self._spec))
        crop = cv2.warpAffine(frame, matrix, (self._spec.size, self._spec.size))
        again = self._largest(crop)
        if again is not None:
            path = pathlib.Path(tempfile.mkstemp(dir=self._folder)[1])
            cv2.imwrite(f"{path}.png", crop[..., ::-1])
            np.save(f"{path}.npy", again.landmarks)
        return face

    def _largest(self, image: np.ndarray) -> Face | None:
        boxes = self._search(image, 1)
        if not boxes:
            return None
        box = max(boxes, key=lambda rectangle: rectangle.area())
        points = [(point.x, point.y) for point in self._regress(image, box).parts()]
        sides = [box.left(), box.top(), box.right() + 1, box.bottom() + 1]
        return Face(np.array(sides, np.float32), np.array(points, np.float32), 0.0)
