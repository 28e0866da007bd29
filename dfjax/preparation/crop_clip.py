"""The crops of one clip: a pure function of its files.

Must not import TFDS or JAX, because every worker process imports it.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dfjax.corpora import layout
from dfjax.corpora.clip import Clip
from dfjax.faces.crop import cut_faces
from dfjax.faces.crop_spec import CropSpec
from dfjax.faces.detect import Face, FaceDetector
from dfjax.faces.sequence import VideoFaceDetector
from dfjax.media import image as media_image
from dfjax.media import kind
from dfjax.media import video as media_video
from dfjax.media.errors import MediaError


@dataclasses.dataclass(frozen=True)
class ClipCrops:
    """The crops of a clip.

    Attributes:
      crops: one dict per crop, in order of frame and face: `image` (encoded), `frame` (position
        among the frames of a video that decode, or among the pictures of a folder), `face` (within
        the frame, by falling size), and `landmarks`, `box`, `scale` and `padded` of `align.Crop`.
      num_frames: how many frames were searched.
      damaged: far fewer frames decode than the file declares, or a chosen picture of a folder does
        not decode.
      own_boxes: True if the original's boxes were requested but did not fit.
    """

    crops: list[dict[str, Any]]
    num_frames: int
    damaged: bool
    own_boxes: bool = False


def crop_clip(
    clip: Clip, spec: CropSpec, num_frames: int, originals: Mapping[str, str] | None = None
) -> ClipCrops:
    """Returns the crops of one clip, a pure function of its files and of the other arguments.

    A video or a folder of frames gives `num_frames` frames, spread as `read_video` spreads them; a
    picture is its only frame.

    With `originals`, paths by key, a fake is cut where its original shows faces in the same frames,
    and a frame without a face in the original gives no crop: both then show the same part of the
    scene. The fake itself is searched, and `own_boxes` is True, if its original is not in
    `originals`, cannot be read, has frames at other positions or of another size, or shows no face.

    Raises:
      MediaError: the file cannot be used.
    """
    borrows = originals is not None and clip.label == 1
    lent = _lend_faces(originals.get(clip.original), spec, num_frames) if borrows else {}
    frames, indices, damaged = _read_frames(clip.path, num_frames)
    fits = list(lent) == _places(frames, indices)
    faces = lent.values() if fits else _find_faces(clip.path, frames, spec)
    cuts = [cut_faces(frame, boxes, spec) for frame, boxes in zip(frames, faces, strict=True)]
    crops = [
        {
            "image": media_image.encode_image(crop.image, spec.encoding),
            "frame": index,
            "face": face,
            "landmarks": crop.landmarks,
            "box": crop.box,
            "scale": crop.scale,
            "padded": crop.padded,
        }
        for index, crops_of_frame in zip(indices, cuts, strict=True)
        for face, crop in enumerate(crops_of_frame)
    ]
    return ClipCrops(crops, len(frames), damaged, borrows and not fits)


def _lend_faces(
    path: str | None, spec: CropSpec, num_frames: int
) -> dict[tuple[int, ...], list[Face]]:
    """The faces of a real clip by the places of its frames; empty if it shows none."""
    try:
        frames, indices, _ = _read_frames(path, num_frames) if path else ([], [], False)
    except MediaError:  # the clip's own outcome says why
        return {}
    faces = _find_faces(path, frames, spec) if frames else []
    return dict(zip(_places(frames, indices), faces, strict=True)) if any(faces) else {}


def _places(frames: Sequence[np.ndarray], indices: Sequence[int]) -> list[tuple[int, ...]]:
    """(position, height, width, 3) of each frame: equal places can lend each other boxes."""
    return [(index, *frame.shape) for index, frame in zip(indices, frames, strict=True)]


def _find_faces(path: str, frames: Sequence[np.ndarray], spec: CropSpec) -> list[list[Face]]:
    if spec.crops == "as-is":
        return [[] for _ in frames]
    detector = FaceDetector(spec)
    if os.path.isdir(path) or kind.kind_of(path) == "video":
        detector = VideoFaceDetector(detector)
    return [detector.detect(frame) for frame in frames]


def _read_frames(path: str, num_frames: int) -> tuple[list[np.ndarray], list[int], bool]:
    """Returns frames, their positions, and whether the clip is damaged."""
    if os.path.isdir(path):
        return _read_folder(path, num_frames)
    if kind.kind_of(path) == "image":
        return [media_image.read_image(path)], [0], False
    video = media_video.read_video(path, num_frames)
    damaged = media_video.is_damaged(video.num_decoded, video.num_declared)
    return video.frames, video.indices, damaged


def _read_folder(path: str, num_frames: int) -> tuple[list[np.ndarray], list[int], bool]:
    try:
        pictures = sorted(layout.list_pictures(path), key=_numbers)
    except OSError as error:
        raise MediaError(
            "unreadable", f"{path}: {error.strerror}: give a readable folder"
        ) from error
    if not pictures:
        raise MediaError("empty", f"{path}: the folder holds no picture: unpack the frames into it")
    frames, broken = {}, []
    for index in media_video.spread(len(pictures), num_frames):
        try:
            frames[index] = media_image.read_image(pictures[index])
        except MediaError as error:
            broken.append(error)
    if not frames:
        raise MediaError(broken[0].code, f"none of {len(broken)} frames decodes: {broken[0]}")
    return list(frames.values()), list(frames), bool(broken)


def _numbers(picture: pathlib.Path) -> list[int]:
    """Orders frame_9.png before frame_10.png."""
    return [int(number) for number in re.findall(r"\d+", picture.stem)]
