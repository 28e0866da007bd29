"""Faces of the frames of one clip, in order: full searches now and then, cheap ones in between."""

import numpy as np

from dfjax.faces import track
from dfjax.faces.detect import MAX_FACES, Face, FaceDetector

_CUT = 60  # mean difference of 255: above that of moving people, below that of another scene
_THUMBNAIL = 32  # pixels a side: enough to notice a cut


class VideoFaceDetector:
    """Detects the faces of a clip, frame by frame. Its answers depend on the frames alone.

    Each known face is looked for near its last box (`FaceDetector.detect_near`), at about a
    twentieth of the cost of `FaceDetector.detect`. The whole frame is searched when a face is lost
    or none is known, after a cut, and at least on every `CropSpec.search_every`-th frame.

    A new face is missed for up to `search_every` - 1 frames while the others stay put. A face that
    leaves is noticed at once.
    """

    def __init__(self, detector: FaceDetector):
        self.spec = detector.spec
        self._detector = detector
        self._faces: list[Face] = []
        self._thumbnail: np.ndarray | None = None
        self._num_since_search = 0

    def detect(self, image: np.ndarray) -> list[Face]:
        """Returns the faces of the next frame, RGB uint8 [H, W, 3], as `FaceDetector.detect`."""
        if self._is_cut(image):
            self._faces = []
        nearby = [self._detector.detect_near(image, face.box) for face in self._faces]
        faces = _distinct([face for face in nearby if face is not None])
        self._num_since_search += 1
        is_due = self._num_since_search >= self.spec.search_every
        if is_due or not faces or len(faces) < len(self._faces):
            faces = _distinct(faces + self._search(image))
            self._num_since_search = 0
        faces.sort(key=_area, reverse=True)
        self._faces = faces[:MAX_FACES]
        return self._faces

    def _search(self, image: np.ndarray) -> list[Face]:
        """The faces of the whole frame, with the boxes that `detect_near` gives.

        Both ways of searching must give one box, or crops would jump with every full search.
        """
        faces = self._detector.detect(image)
        return [self._detector.detect_near(image, face.box) or face for face in faces]

    def _is_cut(self, image: np.ndarray) -> bool:
        height, width = image.shape[:2]
        every_y, every_x = -(-height // _THUMBNAIL), -(-width // _THUMBNAIL)
        thumbnail = image[::every_y, ::every_x].astype(np.int16)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None or before.shape != thumbnail.shape:
            return True
        return float(np.abs(thumbnail - before).mean()) > _CUT


def _distinct(faces: list[Face]) -> list[Face]:
    """The faces, without those that overlap an earlier one."""
    kept: list[Face] = []
    for face in faces:
        if all(track.iou(face.box, other.box) < track.MIN_IOU for other in kept):
            kept.append(face)
    return kept


def _area(face: Face) -> float:
    return float(np.prod(face.box[2:] - face.box[:2]))
