"""Faces of the frames of one clip, in order: searched for now and then, found again in between."""

import numpy as np

from dfjax.faces import track
from dfjax.faces.detect import MAX_FACES, Face, FaceDetector

_CUT = 60  # of 255: more than people who move, less than another scene
_GLANCE = 32  # pixels a side, enough to tell a cut


class VideoFaceDetector:
    """Finds the faces of a clip's frames, given one after the other: a pure function of all so far.

    Each known face is looked for near where it was, at about a twentieth of the cost of `find`
    (`FaceDetector.find_near`). The whole frame is searched where a face is lost or none is known,
    after a cut, and at the latest on every `CropSpec.search_every`-th frame.

    Whoever enters while everybody else stays in place is therefore missed until then: for up to
    `search_every` - 1 of the frames given. Who leaves is not.
    """

    def __init__(self, finder: FaceDetector):
        self.spec = finder.spec
        self._finder = finder
        self._faces: list[Face] = []
        self._glance: np.ndarray | None = None
        self._num_since_search = 0

    def find(self, image: np.ndarray) -> list[Face]:
        """Returns the faces of the next frame, RGB uint8 [H, W, 3], as `FaceDetector.find` does."""
        if self._is_cut(image):
            self._faces = []
        again = [self._finder.find_near(image, face.box) for face in self._faces]
        faces = _distinct([face for face in again if face is not None])
        self._num_since_search += 1
        is_due = self._num_since_search >= self.spec.search_every
        if is_due or not faces or len(faces) < len(self._faces):
            faces = _distinct(faces + self._search(image))
            self._num_since_search = 0
        faces.sort(key=_area, reverse=True)
        self._faces = faces[:MAX_FACES]
        return self._faces

    def _search(self, image: np.ndarray) -> list[Face]:
        """The faces of the whole frame, found again nearby: boxes must not depend on the way."""
        found = self._finder.find(image)
        return [self._finder.find_near(image, face.box) or face for face in found]

    def _is_cut(self, image: np.ndarray) -> bool:
        height, width = image.shape[:2]
        glance = image[:: -(-height // _GLANCE), :: -(-width // _GLANCE)].astype(np.int16)
        before, self._glance = self._glance, glance
        if before is None or before.shape != glance.shape:
            return True
        return float(np.abs(glance - before).mean()) > _CUT


def _distinct(faces: list[Face]) -> list[Face]:
    """The faces without those that overlap an earlier one."""
    kept: list[Face] = []
    for face in faces:
        if all(track.iou(face.box, other.box) < track.MIN_IOU for other in kept):
            kept.append(face)
    return kept


def _area(face: Face) -> float:
    return float(np.prod(face.box[2:] - face.box[:2]))
