"""How face crops are made: the contract that datasets, runs and exports carry.

Imports neither dlib nor NumPy: data workers, exported models and `--help` read specs, too.
"""

import dataclasses
from typing import Any

from dfjax.errors import UserError

LICENSE_OF_68_LANDMARKS = (
    "the 68-point landmark model was trained on iBUG 300-W, whose license excludes commercial use: "
    "for commercial use, choose 5 landmarks"
)

ACCEPTED: dict[str, tuple[str | int, ...]] = {
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
    "center": (0.3, 0.7),
    "size": (16, 1024),
    "working_size": (80, 4096),
    "upsample": (0, 2),
    "search_every": (1, 1000),
    "detection_border": (0.0, 1.0),
}


@dataclasses.dataclass(frozen=True)
class CropSpec:
    """How a frame becomes face crops; stored with every dataset, checkpoint and export.

    Attributes:
      crops: "align": detect the face and map its landmarks to the template. "as-is": the pictures
        already are face crops, only resized; goes with detector "none" and landmarks 0.
      detector: dlib's "hog" or "mmod"; "none" for crops "as-is".
      landmarks: 5 (CC0) or 68 (no commercial use); 0 for crops "as-is".
      faces: "largest" for corpora with one subject in each picture, otherwise "all".
      scale: width of a crop in units of the tight ArcFace crop; at 1.3 the eye centers are at
        (.3784, .4704) and (.6204, .4691) of the side.
      center: height of the crop's center in the tight ArcFace crop, as a share of its side: more
        shows more of the chin and less of the forehead.
      size: side of a crop in pixels.
      working_size: larger frames are shrunk to this long side, in pixels, for detection. HOG
        detects faces from about 75 pixels in the shrunk frame: 1/17 of the long side at 1280.
      upsample: how many times the shrunk frame is doubled for detection.
      search_every: in videos and folders of frames, the whole frame is searched at least every
        `search_every`-th sampled frame; in between, each face is looked for near its last box
        (`sequence.VideoFaceDetector`). 1 searches every frame.
      detection_border: if no face is found, a second try extends the frame on each side by this
        share of its long side, reflected; 0 tries once.
      border: what a crop shows outside the frame.
      resampling: "area-linear": box-filtered when shrinking, then linear.
      encoding: how crops are stored, "jpeg" (quality 95, 4:4:4) or "png". A model trained on stored
        crops is shown crops that went through the same encoding.

    Raises:
      UserError: a value is not accepted; the message names it in one line.
    """

    crops: str = "align"
    detector: str = "hog"
    landmarks: int = 5
    faces: str = "largest"
    scale: float = 1.3
    center: float = 0.5
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
                value = float(value)  # so that equal specs have equal JSON
                object.__setattr__(self, field.name, value)
            if type(value) is not field.type:
                raise UserError(f"{field.name} is {value!r}: use {field.type.__name__}")
            accepted = ACCEPTED.get(field.name)
            if accepted and value not in accepted:
                raise UserError(f"{field.name} {value!r} is unknown: use one of {accepted}")
            low, high = _RANGES.get(field.name, (value, value))
            if not low <= value <= high:
                raise UserError(f"{field.name} is {value}: use {low} to {high}")
        self._check_combination()

    def _check_combination(self) -> None:
        as_is = self.crops == "as-is"
        if (self.detector == "none") != as_is or (self.landmarks == 0) != as_is:
            raise UserError(
                f"crops {self.crops!r}, detector {self.detector!r} and landmarks {self.landmarks}: "
                "'as-is' goes with 'none' and 0, 'align' with a detector and 5 or 68"
            )

    def to_json(self) -> dict[str, Any]:
        """Returns the fields by name; `from_json` reads them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Any) -> "CropSpec":
        """Returns the spec of `to_json`.

        Raises:
          UserError: a field is missing or unknown, or a value is not accepted.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict):
            raise UserError(f"crop spec is a {type(fields).__name__}: it must be a JSON object")
        fields = {"center": 0.5, **fields}  # the only center before there was a choice
        if wrong := sorted(names.symmetric_difference(fields)):
            raise UserError(f"crop spec: these fields are missing or unknown: {wrong}")
        return cls(**fields)

    def require_equal(self, other: "CropSpec", where: str) -> None:
        """Checks that `other`, the spec of `where`, equals this one.

        Raises:
          UserError: they differ; the message names every such field with both values.
        """
        differences = [
            f"{field.name} {getattr(other, field.name)!r} instead of {getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if getattr(other, field.name) != getattr(self, field.name)
        ]
        if differences:
            raise UserError(
                f"{where} has other face crops: {', '.join(differences)}: prepare it with one spec"
            )
