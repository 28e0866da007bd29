"""From landmarks to the pixels of a crop: the geometry of a `CropSpec`. Does not import dlib."""

import dataclasses
import math

import cv2
import numpy as np

from dfjax.faces.crop_spec import CropSpec

# Positions of points of a face as fractions of the side at scale 1; left and right as in the
# picture. Eyes, nose tip and mouth corners: the 112-pixel template of ArcFace (Deng et al. 2019),
# which DeepfakeBench (Yan et al. 2023) uses as well. Nose base: the mean over 744 photographs (344
# studio portraits, 400 of FFHQ) aligned by their eye centers.
_EYES = np.array([[38.2946, 51.6963], [73.5318, 51.5014]]) / 112
_NOSE_BASE = np.array([[0.4997, 0.6951]])
_NOSE_TIP_AND_MOUTH = np.array([[56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]) / 112
# DeepfakeBench's points for this template: upper eyelids, nose tip, lips next to the corners.
_ANCHORS_OF_68 = [37, 44, 30, 49, 55]

_MARGIN = 8  # frame pixels around the window that a crop is cut from, for the filters


@dataclasses.dataclass(frozen=True)
class Crop:
    """One face as the models see it.

    Attributes:
      image: RGB uint8 [S, S, 3].
      landmarks: float32 [L, 2], in pixels of the crop.
      box: float32 [4] (x0, y0, x1, y1), in pixels of the frame.
      scale: crop pixels per frame pixel; above 1 the crop is enlarged.
      padded: share of the crop outside the frame, 0 to 1.
      matrix: float64 [2, 3], maps a point (x, y, 1) of the frame to the crop. Pixel centers have
        integer coordinates.
    """

    image: np.ndarray
    landmarks: np.ndarray
    box: np.ndarray
    scale: float
    padded: float
    matrix: np.ndarray


def template(spec: CropSpec) -> np.ndarray:
    """Returns the positions of the `anchors` of a face in its crop: float64 [A, 2], in pixels."""
    points = np.concatenate([_EYES, _NOSE_BASE if spec.landmarks == 5 else _NOSE_TIP_AND_MOUTH])
    return spec.size * (0.5 + (points - [0.5, spec.center]) / spec.scale)


def anchors(landmarks: np.ndarray) -> np.ndarray:
    """Returns the points [A, 2] that define the alignment, from dlib's 5 or 68 landmarks [L, 2].

    From 5: the two eye centers and the nose base. Aligned by the eyes alone, a turned head, whose
    eyes look closer together, would be magnified (on FFHQ the scale varied 1.8 times as much).
    From 68: the five points of DeepfakeBench, so that its crops and these are interchangeable.
    """
    if len(landmarks) == 68:
        return landmarks[_ANCHORS_OF_68]
    # dlib's order: two corners of the eye on the right, two of the one on the left, nose base.
    right, left, nose = landmarks[0:2].mean(0), landmarks[2:4].mean(0), landmarks[4]
    return np.stack([left, right, nose])


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the similarity [2, 3] that maps source points [A, 2] to target in least squares.

    This is Umeyama (1991) without reflection. With points as complex numbers it is w = a z + b.
    """
    z, w = source @ [1, 1j], target @ [1, 1j]
    centered = z - z.mean()
    a = np.vdot(centered, w) / np.vdot(centered, centered).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def align_face(image: np.ndarray, landmarks: np.ndarray, box: np.ndarray, spec: CropSpec) -> Crop:
    """Returns the crop of the face with these landmarks [L, 2] and box [4], in frame pixels."""
    matrix = similarity(anchors(landmarks), template(spec))
    aligned = landmarks @ matrix[:, :2].T + matrix[:, 2]
    inside = cv2.warpAffine(
        np.ones(image.shape[:2], np.uint8), matrix, (spec.size, spec.size), flags=cv2.INTER_NEAREST
    )
    return Crop(
        image=_warp(image, matrix, spec.size),
        landmarks=aligned.astype(np.float32),
        box=np.asarray(box, np.float32),
        scale=math.hypot(*matrix[:, 0]),
        padded=1.0 - float(inside.mean()),
        matrix=matrix,
    )


def resize_crop(image: np.ndarray, spec: CropSpec) -> Crop:
    """Returns a picture that already is a face crop, resized to the size of the spec."""
    height, width = image.shape[:2]
    scale = spec.size / math.sqrt(height * width)
    x, y = spec.size / width, spec.size / height
    resampling = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return Crop(
        image=cv2.resize(image, (spec.size, spec.size), interpolation=resampling),
        landmarks=np.zeros((0, 2), np.float32),
        box=np.array([0, 0, width, height], np.float32),
        scale=scale,
        padded=0.0,
        matrix=np.array([[x, 0.0, x / 2 - 0.5], [0.0, y, y / 2 - 0.5]]),
    )


def _warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    scale = math.hypot(*matrix[:, 0])
    if scale < 1:
        image, matrix = _cut_window(image, matrix, size)
        # A linear warp reads 4 pixels for each one that it writes: a large face would alias, so
        # shrink it first.
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        stretch = np.array([width / small[0], height / small[1]])
        # The center of pixel i of the small frame is at (i + .5) * stretch - .5 in the large one.
        offset = matrix[:, :2] @ (stretch / 2 - 0.5) + matrix[:, 2]
        matrix = np.column_stack([matrix[:, :2] * stretch, offset])
    return cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _cut_window(image: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of a frame that its crop shows, and the matrix from there: less has to be shrunk.

    Outside the frame a crop shows a reflection, so the window reaches equally far inside.
    """
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - matrix[:, 2]
    corners = corners @ np.linalg.inv(matrix[:, :2]).T
    sides = np.array(image.shape[1::-1])
    low, high = corners.min(0) - _MARGIN, corners.max(0) + _MARGIN
    low, high = np.minimum(low, 2 * sides - high), np.maximum(high, -low)
    low, high = low.clip(0, sides).astype(int), np.ceil(high.clip(0, sides)).astype(int)
    if (high - low <= 1).any():
        return image, matrix
    window = image[low[1] : high[1], low[0] : high[0]]
    return window, np.column_stack([matrix[:, :2], matrix[:, :2] @ low + matrix[:, 2]])
