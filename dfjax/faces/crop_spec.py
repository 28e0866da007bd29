"""What a face crop is: the contract that datasets, runs and exports carry.

Free of dlib, so that data workers and exported models can read a spec without a detector.
"""

import dataclasses
from typing import Any

from dfjax.errors import UserError

LICENCE_OF_68_LANDMARKS = (
    "the 68-point landmark model was trained on iBUG 300-W, whose licence excludes commercial use: "
    "use landmarks=5 for anything else"
)

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
    looked for where they were (`sequence.VideoFaceDetector`); 1 searches all.
    `detection_border`: where no face is found, a second try reflects this share of the long side
    outwards on each side; 0 tries once.
    `border`: what a crop shows outside the frame. `resampling` "area-linear": box-filtered when
    shrinking, then linear. `encoding`: how crops are stored, "jpeg" (quality 95, 4:4:4) or "png";
    a model trained on stored crops is shown crops that went through the same encoding.

    Raises:
      UserError: a value that is not accepted, named in one line.
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
                raise UserError(f"{field.name} is {value!r}: use {field.type.__name__}")
            accepted = _ACCEPTED.get(field.name)
            if accepted and value not in accepted:
                raise UserError(f"{field.name} {value!r} is unknown: use one of {accepted}")
            low, high = _RANGES.get(field.name, (value, value))
            if not low <= value <= high:
                raise UserError(f"{field.name} is {value}: use {low} to {high}")
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
            raise UserError(f"crop spec is {type(fields).__name__}: it needs to be an object")
        if wrong := sorted(names.symmetric_difference(fields)):
            raise UserError(f"crop spec lacks or has in excess {wrong}")
        return cls(**fields)

    def require_equal(self, other: "CropSpec", where: str) -> None:
        """Checks that `other`, the spec of `where`, is this one.

        Raises:
          UserError: they differ; names every field with both values.
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
