"""What a face crop is: CropSpec, and the geometry from landmarks to pixels.

Free of dlib, so that data workers and exported models can read a spec without a detector.
"""

import dataclasses
import json
import math

import cv2
import numpy as np

LICENCE_OF_68_LANDMARKS = (
    "the 68-point landmark model was trained on iBUG 300-W, whose licence excludes commercial use: "
    "use landmarks=5 for anything else"
)

# Where points of a face lie, as fractions of the side at scale 1; left, right as in the picture.
# Eyes, nose tip and mouth corners: the 112-pixel template of ArcFace (Deng et al. 2019), which
# DeepfakeBench (Yan et al. 2023) crops to as well. Nose base: the mean over 744 photographs (344
# studio portraits, 400 of FFHQ) aligned by their eye centres.
_EYES = np.array([[38.2946, 51.6963], [73.5318, 51.5014]]) / 112
_NOSE_BASE = np.array([[0.4997, 0.6951]])
_NOSE_TIP_AND_MOUTH = np.array([[56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]) / 112
# DeepfakeBench's points for the latter template: upper eyelids, nose tip, lips beside the corners.
_ANCHORS_OF_68 = [37, 44, 30, 49, 55]

_MARGIN = 8  # frame pixels around the window that a crop is cut from, for the filters

_ACCEPTED = {
    "crops": ("align", "as-is"),
    "detector": ("hog", "mmod", "none"),
    "landmarks": (5, 68, 0),
    "faces": ("largest", "all"),
    "border": ("reflect",),
    "resampling": ("area-linear",),
    "encoding": ("jpeg", "png"),
}
_RANGES = {
    "scale": (0.5, 4.0),
    "size": (16, 1024),
    "working_size": (80, 4096),
    "upsample": (0, 2),
    "search_every": (1, 1000),
    "detection_border": (0.0, 1.0),
}


@dataclasses.dataclass(frozen=True)
class CropSpec:
    """How a frame becomes face crops; it travels with every dataset, checkpoint and export.

    `crops` is "align" (find the face, map its landmarks to the template) or "as-is" (the pictures
    are face crops already: stretched to `size`; goes with detector "none" and landmarks 0).
    `detector` is dlib's "hog" or "mmod"; `landmarks` 5 (CC0), or 68 (no commercial use).
    `faces` is "largest" for corpora with one subject a picture, else "all".
    `scale` is the width of the crop in units of the tight ArcFace crop; at the default 1.3 the eye
    centres lie at (.3784, .4704) and (.6204, .4691) of the side. `size` is the side in pixels.
    `working_size` is the long side, in pixels, that larger frames are shrunk to for detection;
    `upsample` doubles the result so many times. HOG sees faces from about 75 pixels there: a
    seventeenth of the long side at the default. `search_every`: in videos and folders of frames,
    at least every so manieth of the frames used is searched like this; in those between, faces are
    looked for where they were (`sequence.SequenceFinder`); 1 searches all.
    `detection_border`: where no face is found, a second try reflects this share of the long side
    outwards on each side; 0 tries once.
    `border`: what a crop shows outside the frame. `resampling` "area-linear": box-filtered when
    shrinking, then linear. `encoding`: how crops are stored, "jpeg" (quality 95, 4:4:4) or "png";
    a model trained on stored crops is shown crops that went through the same encoding.

    Raises:
      ValueError: a value that is not accepted, named in one line.
    """

    crops: str = "align"
    detector: str = "hog"
    landmarks: int = 5
    faces: str = "largest"
    scale: float = 1.3
    size: int = 256
    working_size: int = 1280
    upsample: int = 0
    search_every: int = 8
    detection_border: float = 0.25
    border: str = "reflect"
    resampling: str = "area-linear"
    encoding: str = "jpeg"

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is float and type(value) is int:
                value = float(value)  # one spec, one JSON
                object.__setattr__(self, field.name, value)
            if type(value) is not field.type:
                raise ValueError(f"{field.name} is {value!r}: use {field.type.__name__}")
            accepted = _ACCEPTED.get(field.name)
            if accepted and value not in accepted:
                raise ValueError(f"{field.name} {value!r} is unknown: use one of {accepted}")
            low, high = _RANGES.get(field.name, (value, value))
            if not low <= value <= high:
                raise ValueError(f"{field.name} is {value}: use {low} to {high}")
        as_is = self.crops == "as-is"
        if (self.detector == "none") != as_is or (self.landmarks == 0) != as_is:
            raise ValueError(
                f"crops {self.crops!r}, detector {self.detector!r} and landmarks {self.landmarks}: "
                "'as-is' goes with 'none' and 0, 'align' with a detector and 5 or 68"
            )

    def to_json(self) -> str:
        """Returns the canonical JSON: equal specs give equal strings."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "CropSpec":
        """Returns the spec of `to_json`.

        Raises:
          ValueError: no JSON, a field missing or unknown, or a value that is not accepted.
        """
        fields = json.loads(text)
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict):
            raise ValueError(f"crop spec is {type(fields).__name__}: it needs to be an object")
        if wrong := sorted(names.symmetric_difference(fields)):
            raise ValueError(f"crop spec lacks or has in excess {wrong}")
        return cls(**fields)

    def require_equal(self, other: "CropSpec", where: str) -> None:
        """Checks that `other`, the spec of `where`, is this one.

        Raises:
          ValueError: they differ; names every field with both values.
        """
        differences = [
            f"{field.name} {getattr(other, field.name)!r} instead of {getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if getattr(other, field.name) != getattr(self, field.name)
        ]
        if differences:
            raise ValueError(
                f"{where} has other face crops: {', '.join(differences)}: prepare it with one spec"
            )


@dataclasses.dataclass(frozen=True)
class Crop:
    """One face as the models see it.

    `image` is RGB uint8 [S, S, 3]; `landmarks` float32 [L, 2] are in pixels of the crop, `box`
    float32 [4] (x0, y0, x1, y1) in pixels of the frame. `scale` is crop pixels per frame pixel:
    above 1 the crop is enlarged. `padded` is the share of the crop, 0 to 1, outside the frame.
    `matrix` float64 [2, 3] takes a point (x, y, 1) of the frame to the crop; a pixel's centre
    has whole coordinates.
    """

    image: np.ndarray
    landmarks: np.ndarray
    box: np.ndarray
    scale: float
    padded: float
    matrix: np.ndarray


def template(spec: CropSpec) -> np.ndarray:
    """Returns where the `anchors` of a face go: float64 [A, 2] in crop pixels."""
    points = np.concatenate([_EYES, _NOSE_BASE if spec.landmarks == 5 else _NOSE_TIP_AND_MOUTH])
    return spec.size * (0.5 + (points - 0.5) / spec.scale)


def anchors(landmarks: np.ndarray) -> np.ndarray:
    """Returns the points that fix the alignment, [A, 2], of dlib's 5 or 68 landmarks [L, 2].

    Of 5, the two eye centres and the nose base: by the eyes alone a turned head, whose eyes seem
    closer, would be magnified (the scale wandered 1.8 times as much on FFHQ). Of 68, the five
    points of DeepfakeBench, so that its crops and these are interchangeable.
    """
    if len(landmarks) == 68:
        return landmarks[_ANCHORS_OF_68]
    # dlib's order: two corners of the eye on the right, two of the one on the left, nose base.
    right, left, nose = landmarks[0:2].mean(0), landmarks[2:4].mean(0), landmarks[4]
    return np.stack([left, right, nose])


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the similarity [2, 3] that maps source points [A, 2] to target in least squares.

    As Umeyama (1991) without reflection: with points as complex numbers it is w = a z + b.
    """
    z, w = source @ [1, 1j], target @ [1, 1j]
    centred = z - z.mean()
    a = np.vdot(centred, w) / np.vdot(centred, centred).real
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
    """Returns a picture that is a face crop already, stretched to the spec's size."""
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
        # A linear warp reads 4 pixels wherever it lands, so a large face would alias: shrink first.
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        stretch = np.array([width / small[0], height / small[1]])
        # Pixel i of the small frame is centred on (i + .5) * stretch - .5 of the large one.
        offset = matrix[:, :2] @ (stretch / 2 - 0.5) + matrix[:, 2]
        matrix = np.column_stack([matrix[:, :2] * stretch, offset])
    return cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _cut_window(image: np.ndarray, matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(the part of a frame that its crop shows, the matrix from there): the rest need not shrink.

    Beyond the frame the crop shows a reflection: the window then reaches as far inside.
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
