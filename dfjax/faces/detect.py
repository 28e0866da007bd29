"""Faces of a frame by dlib: boxes from HOG or MMOD, landmarks by regression trees.

The only file that imports dlib. Model files are read by path from the installed package
`face_recognition_models`, which is never imported: it needs a module that setuptools dropped.
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

MAX_FACES = 32  # a frame; a crowd must not cost minutes

SAME_PERSON = 0.6  # distance of embeddings
_CHIP_SIZE = 150  # pixels

_SHARPEST = 2.0  # pixels per frame pixel, on the detector's pyramid, each step of which is 5/6
_STEP = 5 / 6
_GRID = 48  # pixels: a whole number of HOG cells (8) on the first two steps of a pyramid
_NEAR_SIZE = 90  # pixels that a face looked for nearby should have
_FOLLOWED_WIDTH = 1.5  # of the window in which a followed face is looked for, in sides of its box
_FOLLOWED_ABOVE = -0.2  # HOG's confidence: a face moves and blurs where a search would miss it

_EMBEDDING_FILE = "dlib_face_recognition_resnet_model_v1.dat"
_MMOD_FILE = "mmod_human_face_detector.dat"
_LANDMARK_FILES = {
    5: "shape_predictor_5_face_landmarks.dat",
    68: "shape_predictor_68_face_landmarks.dat",
}


@dataclasses.dataclass(frozen=True)
class Face:
    """A detected face.

    `box` float32 [4] (x0, y0, x1, y1) and `landmarks` float32 [L, 2] are in pixels of the frame and
    may lie outside it. `confidence` is the detector's score, comparable within one detector only.
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float


class FaceDetector:
    """Finds faces as a CropSpec says.

    Holds paths only, so that it travels to worker processes; the models load once per process, at
    first use.
    """

    def __init__(self, spec: CropSpec, model_dir: str | os.PathLike | None = None):
        """`model_dir` holds dlib's .dat files; None: the package `face_recognition_models`.

        The 68-point model may not be used commercially (iBUG 300-W).

        Raises:
          ValueError: the spec takes pictures as they are.
          FileNotFoundError: a model file is missing.
        """
        if spec.crops != "align":
            raise ValueError(f"crops {spec.crops!r} are cut without a FaceDetector")
        self.spec = spec
        self._landmark_file = _locate(_LANDMARK_FILES[spec.landmarks], model_dir)
        self._mmod_file = _locate(_MMOD_FILE, model_dir) if spec.detector == "mmod" else ""

    def find(self, image: np.ndarray) -> list[Face]:
        """Returns the faces of an RGB uint8 frame [H, W, 3], largest first, MAX_FACES at most."""
        small, stretch = self._shrunk(image)
        faces = self._find(small) or self._find_with_border(small)
        return [_map(face, stretch, 0) for face in faces]

    def _shrunk(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the frame at the working size, its pixels per pixel of that: float32 [2])."""
        height, width = image.shape[:2]
        shrink = self.spec.working_size / max(height, width)
        if shrink >= 1:
            return image, np.ones(2, np.float32)
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return small, np.array([width, height], np.float32) / np.array(size, np.float32)

    def follow(self, image: np.ndarray, face: Face) -> Face | None:
        """Returns where a face of the frame before is in this one, or None if it has left.

        The landmarks are found anew inside the old box, which moves and grows as they do: about a
        fifth of the cost of `find`, right as long as a face moves by less than half of itself.
        """
        small, stretch = self._shrunk(image)
        points = self._landmarks(small, face.box / np.tile(stretch, 2))
        landmarks = (points + 0.5) * stretch - 0.5
        matrix = similarity(face.landmarks, landmarks)
        scale = float(np.clip(np.hypot(*matrix[:, 0]), 0.9, 1.1))
        centre, half = (face.box[:2] + face.box[2:]) / 2, (face.box[2:] - face.box[:2]) / 2
        centre = centre + landmarks.mean(0) - face.landmarks.mean(0)
        box = np.concatenate([centre - scale * half, centre + scale * half]).astype(np.float32)
        # The landmarks do not tell: on a background, too, they come out in the shape of a face.
        # Limits on their scale, rotation and shape that drop 1 % of the real faces of 38 clips, and
        # 5 % where two of three frames are missed, keep 14 % of backgrounds. The detector dropped
        # none of 2,060 faces of either kind, and kept 1 of 822 backgrounds.
        if not self._is_seen(image, box):
            return None
        return Face(box, landmarks.astype(np.float32), face.confidence)

    def find_near(self, image: np.ndarray, box: np.ndarray) -> Face | None:
        """Returns the most certain face whose centre lies in `box` [4], where one was before.

        A search of a window twice as wide: about a twentieth of the cost of `find`, and no less
        sharp. The window's scale and corner are of the pyramid and grid that HOG spans over the
        frame at double size, so that boxes come out as there, wherever the window lies. Landmarks
        are found in the frame itself.
        """
        window, corner, stretch = _cut_near(image, box)
        found = [
            (_corners(each).reshape(2, 2) * stretch + corner, confidence)
            for each, confidence in self._detect(window)
        ]
        near = [each for each in found if _is_centred_in(each[0].reshape(4), box)]
        if not near:
            return None
        corners, confidence = max(near, key=lambda each: each[1])
        corners = corners.astype(np.float32).reshape(4)
        return Face(corners, self._landmarks(image, corners), confidence)

    def _is_seen(self, image: np.ndarray, box: np.ndarray) -> bool:
        """Whether there is a face in a box [4] or close to it."""
        centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
        half = _FOLLOWED_WIDTH * side / 2
        low = np.floor(centre - half).clip(0).astype(int)
        high = np.ceil((centre + half).clip(0, image.shape[1::-1])).astype(int)
        if (low >= high).any():
            return False  # it left the frame
        scale = _NEAR_SIZE / side
        size = np.rint((high - low) * scale).astype(int).clip(1)
        window = _resize(image[low[1] : high[1], low[0] : high[0]], size, scale)
        return bool(self._detect(window, above=_FOLLOWED_ABOVE))

    def _find_with_border(self, image: np.ndarray) -> list[Face]:
        # A face that fills a tight picture lacks the surroundings that detectors look for.
        height, width = image.shape[:2]
        frame = np.array([0, 0, width, height])
        pad = round(self.spec.detection_border * max(height, width))
        if pad == 0:
            return []
        # Reflection shows the face's mirror image beyond the border: that one does not count.
        padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
        faces = [_map(face, 1, -pad) for face in self._find(padded)]
        return [face for face in faces if _is_centred_in(face.box, frame)]

    def _find(self, image: np.ndarray) -> list[Face]:
        found = self._detect(image, self.spec.upsample)
        found.sort(key=lambda each: each[0].area(), reverse=True)
        predictor = _predictor(self._landmark_file)
        return [
            Face(_corners(box), _points(predictor(image, box)), confidence)
            for box, confidence in found[:MAX_FACES]
        ]

    def _detect(self, image: np.ndarray, upsample: int = 0, above: float = 0.0) -> list[tuple]:
        """(rectangle, confidence) of every face; MMOD has a limit of its own."""
        if self._mmod_file:
            detections = _mmod(self._mmod_file)(image, upsample)
            return [(each.rect, each.confidence) for each in detections]
        boxes, confidences, _ = _hog().run(image, upsample, above)
        return list(zip(boxes, confidences, strict=True))

    def _landmarks(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        return _points(_predictor(self._landmark_file)(image, _rectangle(box)))


def face_chip(image: np.ndarray, face: Face) -> np.ndarray:
    """Returns what dlib's face recognition looks at of a face of an RGB uint8 frame [H, W, 3].

    uint8 [150, 150, 3]: upright, the face in the middle, a quarter of its size around it.
    """
    points = [dlib.point(*point) for point in np.rint(face.landmarks).astype(int).tolist()]
    detection = dlib.full_object_detection(_rectangle(face.box), points)
    return dlib.get_face_chip(image, detection, _CHIP_SIZE)


def embedding_file(model_dir: str | os.PathLike | None = None) -> str:
    """The path of dlib's face recognition network (free licence); `model_dir` as FaceDetector's.

    Raises:
      FileNotFoundError: it is missing.
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


# dlib lets other threads run while a detector works in memory of its own: one for each thread.
_of_thread = threading.local()


def _hog():
    if not hasattr(_of_thread, "hog"):
        _of_thread.hog = dlib.get_frontal_face_detector()
    return _of_thread.hog


def _mmod(path: str):
    if not hasattr(_of_thread, "mmod"):
        _of_thread.mmod = {}
    if path not in _of_thread.mmod:
        _of_thread.mmod[path] = dlib.cnn_face_detection_model_v1(path)
    return _of_thread.mmod[path]


@functools.cache
def _predictor(path: str):
    return dlib.shape_predictor(path)


def _corners(rectangle) -> np.ndarray:
    # dlib's right and bottom are the last pixels inside.
    sides = [rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1]
    return np.array(sides, np.float32)


def _rectangle(box: np.ndarray) -> dlib.rectangle:
    """The inverse of `_corners`; whoever gives dlib a box gives it this."""
    left, top, right, bottom = np.rint(box).astype(int).tolist()
    return dlib.rectangle(left, top, right - 1, bottom - 1)


def _points(shape) -> np.ndarray:
    return np.array([[point.x, point.y] for point in shape.parts()], np.float32)


def _map(face: Face, stretch: np.ndarray | float, shift: float) -> Face:
    """Stretches, then shifts. A landmark is the centre of a pixel, a box its outer edges."""
    box = face.box.reshape(2, 2) * stretch + shift
    landmarks = (face.landmarks + 0.5) * stretch - 0.5 + shift
    return Face(box.reshape(4), landmarks, face.confidence)


def _is_centred_in(box: np.ndarray, other: np.ndarray) -> bool:
    centre = (box[:2] + box[2:]) / 2
    return bool((other[:2] <= centre).all() and (centre < other[2:]).all())


def _cut_near(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(what lies around a box, at a step of the pyramid; its corner [2] and pixels [2] in those of
    the frame).
    """
    centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    scale = _SHARPEST * _STEP ** round(math.log(_NEAR_SIZE / side / _SHARPEST, _STEP))
    cell = _GRID / scale
    low = np.floor((centre - side) / cell) * cell
    low = np.floor(low.clip(0)).astype(int)
    high = np.ceil((centre + side).clip(0, image.shape[1::-1])).astype(int)
    size = np.rint((high - low) * scale).astype(int).clip(1)
    window = _resize(image[low[1] : high[1], low[0] : high[0]], size, scale)
    return window, low, (high - low) / size


def _resize(image: np.ndarray, size: np.ndarray, scale: float) -> np.ndarray:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size.tolist(), interpolation=interpolation)
