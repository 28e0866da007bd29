"""The crops of one clip: a pure function of its files.

Must not import TFDS or JAX, because every worker process imports it.
"""

import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.faces.crop import cut_faces
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import MAX_FACES, Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import image as media_image
from dfjax.media import kind
from dfjax.media import video as media_video
from dfjax.media.errors import MediaError

Change = Callable[[Sequence[np.ndarray]], list[np.ndarray]]

_CROWD = f"a frame has {MAX_FACES} faces, the most that are looked for: more were left out"


@dataclasses.dataclass(frozen=True)
class ClipCrops:
    """The crops of a clip.

    Attributes:
      crops: one dict per crop, in order of frame and face: `image` (encoded), `frame` (position
        among the frames of a video that decode, or among the pictures of a folder), `time` (in
        seconds from the first frame of a video; else nan), `face` (within the frame, by falling
        size), and `landmarks`, `box`, `scale` and `padded` of `align.Crop`.
      num_frames: how many frames were searched.
      damaged: the file says so (`video.Video.damage`), or a chosen picture of a folder does not
        decode.
      notes: what else to know of the clip, as sentences without a capital and a full stop.
      own_boxes: True if the original's boxes were requested but did not fit.
    """

    crops: list[dict[str, Any]]
    num_frames: int
    damaged: bool
    notes: tuple[str, ...] = ()
    own_boxes: bool = False


def crop_clip(
    clip: Clip,
    spec: CropSpec,
    num_frames: int,
    originals: Mapping[str, str] | None = None,
    change: Change | None = None,
) -> ClipCrops:
    """Returns the crops of one clip, a pure function of its files and of the other arguments.

    A video or a folder of frames gives `num_frames` frames, spread as `read_video` spreads them; a
    picture is its only frame.

    With `originals`, paths by key, a fake is cut where its original shows faces in the same frames,
    and a frame without a face in the original gives no crop: both then show the same part of the
    scene. The fake itself is searched, and `own_boxes` is True, if its original is not in
    `originals`, cannot be read, has frames at other positions or of another size, or shows no face,
    or the fake is known to show other frames.

    `change` makes other frames of the clip's, RGB uint8 [H, W, 3] in order, before they are
    searched.

    Raises:
      MediaError: the file cannot be used.
    """
    borrows = originals is not None and clip.label == 1
    lender = originals.get(clip.original) if borrows and clip.same_frame else None
    lent = _lend_faces(lender, spec, num_frames)
    frames = _read_frames(clip.path, num_frames)
    if change is not None:
        frames = dataclasses.replace(frames, images=change(frames.images))
    fits = list(lent) == frames.places
    faces = lent.values() if fits else _find_faces(frames, spec)
    cuts = [cut_faces(*pair, spec) for pair in zip(frames.images, faces, strict=True)]
    crops = [
        {
            "image": media_image.encode_image(crop.image, spec.encoding),
            "frame": index,
            "time": time,
            "face": face,
            "landmarks": crop.landmarks,
            "box": crop.box,
            "scale": crop.scale,
            "padded": crop.padded,
        }
        for index, time, crops_of_frame in zip(frames.indices, frames.times, cuts, strict=True)
        for face, crop in enumerate(crops_of_frame)
    ]
    notes = frames.notes + (_CROWD,) * any(len(cut) == MAX_FACES for cut in cuts)
    return ClipCrops(crops, len(frames.images), frames.damaged, notes, borrows and not fits)


@dataclasses.dataclass(frozen=True)
class _Frames:
    """The frames of a clip that are searched; times are nan where there are none."""

    images: list[np.ndarray]
    indices: list[int]
    times: list[float]
    is_sequence: bool
    damaged: bool = False
    notes: tuple[str, ...] = ()

    @property
    def places(self) -> list[tuple[int, ...]]:
        """(position, height, width, 3) of each: equal places can lend each other boxes."""
        return [(n, *image.shape) for n, image in zip(self.indices, self.images, strict=True)]


def _lend_faces(
    path: str | None, spec: CropSpec, num_frames: int
) -> dict[tuple[int, ...], list[Face]]:
    """The faces of a real clip by the places of its frames; empty if it shows none."""
    if not path:
        return {}
    try:
        frames = _read_frames(path, num_frames)
    except MediaError:  # the clip's own outcome says why
        return {}
    faces = _find_faces(frames, spec)
    return dict(zip(frames.places, faces, strict=True)) if any(faces) else {}


def _find_faces(frames: _Frames, spec: CropSpec) -> list[list[Face]]:
    if spec.crops == "as-is":
        return [[] for _ in frames.images]
    detector = FaceDetector(spec)
    if frames.is_sequence:
        detector = VideoFaceDetector(detector)
    return [detector.detect(image) for image in frames.images]


def _read_frames(path: str, num_frames: int) -> _Frames:
    if os.path.isdir(path):
        return _read_folder(path, num_frames)
    if kind.kind_of(path) == "image":
        picture = media_image.read_picture(path)
        return _Frames([picture.image], [0], [math.nan], is_sequence=False, notes=picture.warnings)
    video = media_video.read_video(path, num_frames)
    return _Frames(
        video.frames,
        video.indices,
        video.times,
        is_sequence=True,
        damaged=bool(video.damage),
        notes=video.warnings,
    )


def _read_folder(path: str, num_frames: int) -> _Frames:
    try:
        pictures = sorted(layout.list_pictures(path), key=_numbers)
    except OSError as error:
        raise MediaError(
            "unreadable", f"{path}: {error.strerror}: give a readable folder"
        ) from error
    if not pictures:
        raise MediaError("empty", f"{path}: the folder holds no picture: unpack the frames into it")
    images, notes, broken = {}, {}, []
    for index in media_video.spread(len(pictures), num_frames):
        try:
            picture = media_image.read_picture(pictures[index])
        except MediaError as error:
            broken.append(error)
            continue
        images[index] = picture.image
        notes |= dict.fromkeys(picture.warnings)
    if not images:
        raise MediaError(broken[0].code, f"none of {len(broken)} frames decodes: {broken[0]}")
    times = [math.nan] * len(images)
    return _Frames(
        list(images.values()),
        list(images),
        times,
        is_sequence=True,
        damaged=bool(broken),
        notes=tuple(notes),
    )


def _numbers(picture: pathlib.Path) -> list[int]:
    """Orders frame_9.png before frame_10.png."""
    return [int(number) for number in re.findall(r"\d+", picture.stem)]
