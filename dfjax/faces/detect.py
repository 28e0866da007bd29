"""Face detection in one frame by dlib: boxes by HOG or MMOD, landmarks by regression trees.

The only file that imports dlib. Model files are read by path from the installed package
`face_recognition_models`, which is never imported: it needs a module that setuptools removed.
"""

import dataclasses
import functools
import importlib.util
import math
import os
import pathlib
import threading

import cv2
import dlib
import numpy as np

from dfjax.faces.align import similarity
from dfjax.faces.crop_spec import CropSpec

MAX_FACES = 32  # per frame, so that a crowd does not cost minutes

SAME_PERSON = 0.6  # embeddings closer than this are of one person
CHIP_SIZE = 150  # pixels, of the input of face recognition

_FINEST_SCALE = 2.0  # of the detector's pyramid, in pixels per frame pixel
_SCALE_STEP = 5 / 6  # from one level of the pyramid to the next
_GRID = 48  # pixels: a whole number of HOG cells (8) on the first two levels of the pyramid
_NEARBY_SIZE = 90  # pixels: the size that `detect_near` scales a face to
_FOLLOWED_WIDTH = 1.5  # of the window that confirms a followed face, in sides of its box
_FOLLOWED_CONFIDENCE = -0.2  # HOG's; below 0, since a followed face may be blurred by motion

_EMBEDDING_FILE = "dlib_face_recognition_resnet_model_v1.dat"
_MMOD_FILE = "mmod_human_face_detector.dat"
_LANDMARK_FILES = {
    5: "shape_predictor_5_face_landmarks.dat",
    68: "shape_predictor_68_face_landmarks.dat",
}


@dataclasses.dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
      box: float32 [4] (x0, y0, x1, y1), in pixels of the frame; may extend outside it.
      landmarks: float32 [L, 2], in pixels of the frame; may lie outside it.
      confidence: the detector's score, comparable within one detector only.
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float


class FaceDetector:
    """Detects faces as a CropSpec says.

    Holds paths only, so that it can be pickled; the models load at first use, once per process.
    """

    def __init__(self, spec: CropSpec, model_dir: str | os.PathLike | None = None):
        """`model_dir` holds dlib's .dat files; None: the package `face_recognition_models`.

        The 68-point model may not be used commercially (iBUG 300-W).

        Raises:
          ValueError: the crops of the spec are "as-is".
          FileNotFoundError: a model file is missing.
        """
        if spec.crops != "align":
            raise ValueError(f"crops {spec.crops!r} need no FaceDetector: use it with 'align'")
        self.spec = spec
        self._landmark_file = landmark_file(spec.landmarks, model_dir)
        self._mmod_file = _locate(_MMOD_FILE, model_dir) if spec.detector == "mmod" else ""

    def detect(self, image: np.ndarray) -> list[Face]:
        """Returns the faces of an RGB uint8 frame [H, W, 3], largest first, MAX_FACES at most."""
        small, stretch = self._shrunk(image)
        faces = self._search(small) or self._search_with_border(small)
        return [_map(face, stretch, 0) for face in faces]

    def run_once(self, image: np.ndarray) -> None:
        """Loads the models and runs them once on RGB uint8 [H, W, 3]."""
        self.detect(image)
        self._landmarks(image, np.array([0, 0, *image.shape[1::-1]], np.float32))

    def _shrunk(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frame at the working size, and frame pixels per pixel of that: float32 [2]."""
        height, width = image.shape[:2]
        shrink = self.spec.working_size / max(height, width)
        if shrink >= 1:
            return image, np.ones(2, np.float32)
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return small, np.array([width, height], np.float32) / np.array(size, np.float32)

    def follow(self, image: np.ndarray, face: Face) -> Face | None:
        """Returns a face of the previous frame as it is in this one, or None if it has left.

        Landmarks are fitted again inside the old box, and the box then moves and grows as they do.
        This costs about a fifth of `detect`, and works while a face moves by less than half its
        size.
        """
        small, stretch = self._shrunk(image)
        points = self._landmarks(small, face.box / np.tile(stretch, 2))
        landmarks = (points + 0.5) * stretch - 0.5
        matrix = similarity(face.landmarks, landmarks)
        scale = float(np.clip(np.hypot(*matrix[:, 0]), 0.9, 1.1))
        center, half = (face.box[:2] + face.box[2:]) / 2, (face.box[2:] - face.box[:2]) / 2
        center = center + landmarks.mean(0) - face.landmarks.mean(0)
        box = np.concatenate([center - scale * half, center + scale * half]).astype(np.float32)
        # Landmarks alone cannot confirm a face: fitted to a background, they still have the shape
        # of one. Limits on their scale, rotation and shape that drop 1 % of the real faces of 38
        # clips (5 % if two of three frames are skipped) keep 14 % of backgrounds. The detector
        # dropped none of 2,060 faces of either kind and kept 1 of 822 backgrounds.
        if not self._is_confirmed(image, box):
            return None
        return Face(box, landmarks.astype(np.float32), face.confidence)

    def detect_near(self, image: np.ndarray, box: np.ndarray) -> Face | None:
        """Returns the most confident face with its center in `box` [4], that of an earlier frame.

        Searches a window twice as wide as the box, at full resolution: about a twentieth of the
        cost of `detect`. The window has a scale and a corner of the pyramid and grid that HOG lays
        over the frame at double size, so that the result does not depend on where the window is.
        Landmarks are fitted in the frame itself.
        """
        window, corner, stretch = _cut_window(image, box)
        faces = [
            ((_corners(rectangle).reshape(2, 2) * stretch + corner).reshape(4), confidence)
            for rectangle, confidence in self._run(window)
        ]
        faces = [(face_box, score) for face_box, score in faces if _is_centered_in(face_box, box)]
        if not faces:
            return None
        face_box, confidence = max(faces, key=lambda face: face[1])
        face_box = face_box.astype(np.float32)
        return Face(face_box, self._landmarks(image, face_box), confidence)

    def _is_confirmed(self, image: np.ndarray, box: np.ndarray) -> bool:
        """Whether the detector sees a face in a box [4] or close to it."""
        center, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        half = _FOLLOWED_WIDTH * side / 2
        low = np.floor(center - half).clip(0).astype(int)
        high = np.ceil((center + half).clip(0, image.shape[1::-1])).astype(int)
        if (low >= high).any():
            return False  # it left the frame
        scale = _NEARBY_SIZE / side
        size = np.rint((high - low) * scale).astype(int).clip(1)
        window = _resize(image[low[1] : high[1], low[0] : high[0]], size, scale)
        return bool(self._run(window, min_confidence=_FOLLOWED_CONFIDENCE))

    def _search_with_border(self, image: np.ndarray) -> list[Face]:
        # A face that fills the picture lacks the surroundings that detectors expect.
        height, width = image.shape[:2]
        frame = np.array([0, 0, width, height])
        pad = round(self.spec.detection_border * max(height, width))
        if pad == 0:
            return []
        # The border may show the mirror image of a face: only faces inside the frame count.
        padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
        faces = [_map(face, 1, -pad) for face in self._search(padded)]
        return [face for face in faces if _is_centered_in(face.box, frame)]

    def _search(self, image: np.ndarray) -> list[Face]:
        detections = self._run(image, self.spec.upsample)
        detections.sort(key=lambda detection: detection[0].area(), reverse=True)
        predictor = _predictor(self._landmark_file)
        return [
            Face(_corners(rectangle), _points(predictor(image, rectangle)), confidence)
            for rectangle, confidence in detections[:MAX_FACES]
        ]

    def _run(
        self, image: np.ndarray, upsample: int = 0, min_confidence: float = 0.0
    ) -> list[tuple[dlib.rectangle, float]]:
        """Rectangle and confidence of every face; MMOD has its own `min_confidence`."""
        if self._mmod_file:
            detections = _mmod(self._mmod_file)(image, upsample)
            return [(detection.rect, detection.confidence) for detection in detections]
        rectangles, confidences, _ = _hog().run(image, upsample, min_confidence)
        return list(zip(rectangles, confidences, strict=True))

    def _landmarks(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        return _points(_predictor(self._landmark_file)(image, _rectangle(box)))


def face_chip(image: np.ndarray, face: Face) -> np.ndarray:
    """Returns the input of dlib's face recognition for a face of an RGB uint8 frame [H, W, 3].

    This is RGB uint8 [150, 150, 3]: the face upright and centered, with a margin of a quarter of
    its size.
    """
    points = [dlib.point(*point) for point in np.rint(face.landmarks).astype(int).tolist()]
    detection = dlib.full_object_detection(_rectangle(face.box), points)
    return dlib.get_face_chip(image, detection, CHIP_SIZE)


def landmark_file(points: int, model_dir: str | os.PathLike | None = None) -> str:
    """Returns the path of dlib's model of 5 or 68 landmarks; `model_dir` is as for FaceDetector.

    Raises:
      FileNotFoundError: the file is missing.
    """
    return _locate(_LANDMARK_FILES[points], model_dir)


def embedding_file(model_dir: str | os.PathLike | None = None) -> str:
    """Returns the path of dlib's face recognition network (free license).

    `model_dir` is as for FaceDetector.

    Raises:
      FileNotFoundError: the file is missing.
    """
    return _locate(_EMBEDDING_FILE, model_dir)


def _locate(name: str, model_dir: str | os.PathLike | None) -> str:
    if model_dir is None:
        package = importlib.util.find_spec("face_recognition_models")
        if package is None:
            raise FileNotFoundError(
                f"{name}: package face_recognition_models is not installed: "
                "pip install face_recognition_models, or give model_dir"
            )
        model_dir = pathlib.Path(package.submodule_search_locations[0], "models")
    path = pathlib.Path(model_dir, name)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: pip install face_recognition_models, or give the folder with it "
            "as model_dir"
        )
    return str(path)


# dlib releases the GIL while a detector works in its own memory: threads must not share one.
_detectors = threading.local()


def _hog():
    if not hasattr(_detectors, "hog"):
        _detectors.hog = dlib.get_frontal_face_detector()
    return _detectors.hog


def _mmod(path: str):
    if not hasattr(_detectors, "mmod"):
        _detectors.mmod = {}
    if path not in _detectors.mmod:
        _detectors.mmod[path] = dlib.cnn_face_detection_model_v1(path)
    return _detectors.mmod[path]


@functools.cache
def _predictor(path: str):
    return dlib.shape_predictor(path)


def _corners(rectangle) -> np.ndarray:
    # dlib's right and bottom are the last pixels inside.
    sides = [rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1]
    return np.array(sides, np.float32)


def _rectangle(box: np.ndarray) -> dlib.rectangle:
    """The inverse of `_corners`."""
    left, top, right, bottom = np.rint(box).astype(int).tolist()
    return dlib.rectangle(left, top, right - 1, bottom - 1)


def _points(shape) -> np.ndarray:
    return np.array([[point.x, point.y] for point in shape.parts()], np.float32)


def _map(face: Face, stretch: np.ndarray | float, shift: float) -> Face:
    """Stretches, then shifts. A landmark is at the center of a pixel, a box at outer edges."""
    box = face.box.reshape(2, 2) * stretch + shift
    landmarks = (face.landmarks + 0.5) * stretch - 0.5 + shift
    return Face(box.reshape(4), landmarks, face.confidence)


def _is_centered_in(box: np.ndarray, other: np.ndarray) -> bool:
    center = (box[:2] + box[2:]) / 2
    return bool((other[:2] <= center).all() and (center < other[2:]).all())


def _cut_window(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surroundings of a box at a scale of the pyramid, their corner [2], and their stretch [2].

    The corner is in frame pixels, the stretch in frame pixels per pixel of the window.
    """
    center, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    level = round(math.log(_NEARBY_SIZE / side / _FINEST_SCALE, _SCALE_STEP))
    scale = _FINEST_SCALE * _SCALE_STEP**level
    cell = _GRID / scale
    low = np.floor((center - side) / cell) * cell
    low = np.floor(low.clip(0)).astype(int)
    high = np.ceil((center + side).clip(0, image.shape[1::-1])).astype(int)
    size = np.rint((high - low) * scale).astype(int).clip(1)
    window = _resize(image[low[1] : high[1], low[0] : high[0]], size, scale)
    return window, low, (high - low) / size


def _resize(image: np.ndarray, size: np.ndarray, scale: float) -> np.ndarray:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size.tolist(), interpolation=interpolation)
