"""Copies of pictures and videos with boxes, scores and heat maps drawn in.

Color-blind people can tell the colors apart, and every box says in words what it means.
"""

import bisect
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from dfjax import files, verdict
from dfjax.errors import UserError
from dfjax.faces.align import Crop
from dfjax.inference.detector import Detector, Result
from dfjax.media import image as media_image
from dfjax.media import limits
from dfjax.media import video as media_video
from dfjax.model_card import INCONCLUSIVE
from dfjax.verdict import FaceScore

# Blue and vermilion of Okabe and Ito (2008); RGB.
COLORS = {"real": (0, 114, 178), "fake": (213, 94, 0), INCONCLUSIVE: (70, 70, 70)}
# What is wrong with a face that does not count.
FLAWS = {"too_small": "too small", "too_dark": "too dark or bright", "too_blurred": "too blurred"}

_WHITE = (255, 255, 255)
_CRF = 18  # of libx264: no loss that an eye would see
_FPS = 25.0  # for a video without a frame rate


def draw_faces(
    image: np.ndarray,
    faces: Sequence[FaceScore],
    labels: Mapping[int, str | None],
    heat_maps: np.ndarray | None = None,
) -> np.ndarray:
    """Returns a copy of RGB uint8 [H, W, 3] with a box and a line of text for every face.

    `labels` has the label of every track (None: not judged yet), which the color stands for; the
    percentage is the score of the face in this frame. `heat_maps` [N, h, w] in 0..1, one for each
    face, are laid over the inside of the boxes.
    """
    drawn = image.copy()
    if heat_maps is not None:
        for face, heat in zip(faces, heat_maps, strict=True):
            _heat_box(drawn, face.crop, heat)
    for face in faces:
        _draw_box(drawn, face, labels[face.track])
    return drawn


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Returns RGB uint8 [H, W, 3] with the heat map [h, w] in 0..1 laid over it."""
    height, width = image.shape[:2]
    smooth = cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colors = cv2.applyColorMap(np.uint8(255 * smooth), cv2.COLORMAP_INFERNO)
    strength = 0.65 * smooth[..., None]
    mixed = (1 - strength) * image + strength * cv2.cvtColor(colors, cv2.COLOR_BGR2RGB)
    return np.rint(mixed).astype(np.uint8)


def write_annotated(
    source: str | os.PathLike, result: Result, detector: Detector, target: str | os.PathLike
) -> pathlib.Path:
    """Writes a copy of the picture or video `source` with `result` drawn in; returns its path.

    The path is `target` followed by .jpg or .mp4 (H.264, no sound). Only the analysed frames of a
    video have scores: a frame in between shows the faces of the nearest one, and says so. Heat maps
    are drawn if the model has them.

    Raises:
      UserError: nothing could be decoded, according to the result.
      MediaError: the source no longer decodes.
    """
    if result.media is None:
        raise UserError(f"{source} was not decoded: there is nothing to draw into")
    labels = {track: judged.label for track, judged in detector.judge_tracks(result).items()}
    heat_maps = detector.heat_maps(result.faces)
    is_video = result.kind == "video"
    path = pathlib.Path(f"{os.fspath(target)}{'.mp4' if is_video else '.jpg'}")
    with files.replacing(path) as unfinished:
        if is_video:
            frames = _annotated_frames(source, result, labels, heat_maps)
            fps = result.media.fps or _FPS
            media_video.write_video(unfinished, frames, fps=fps, crf=_CRF)
        else:
            image = media_image.read_image(source)
            drawn = draw_faces(image, result.faces, labels, heat_maps)
            unfinished.write_bytes(media_image.encode_image(drawn, "jpeg"))
    return path


def _annotated_frames(
    source: str | os.PathLike,
    result: Result,
    labels: Mapping[int, str],
    heat_maps: np.ndarray | None,
) -> Iterator[np.ndarray]:
    """Yields every frame, cut to even sides as the encoder needs them."""
    facts = result.media
    analysed = media_video.spread(facts.decoded, facts.analysed)
    size = facts.width, facts.height
    with media_video.open_container(source) as container:
        decoded = itertools.islice(media_video.decode_frames(container), limits.MAX_VIDEO_FRAMES)
        for number, frame in enumerate(decoded):
            image = media_video.to_rgb(frame)
            if image.shape[1::-1] != size:  # a stream may change its size on the way
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            nearest = _nearest(analysed, number)
            positions = [i for i, face in enumerate(result.faces) if face.frame == nearest]
            faces = [result.faces[i] for i in positions]
            heat = None if heat_maps is None else heat_maps[positions]
            drawn = draw_faces(image, faces, labels, heat)
            if faces and nearest != number:
                _write_note(drawn, f"faces as in frame {nearest}")
            yield drawn[: size[1] // 2 * 2, : size[0] // 2 * 2]


def _nearest(sorted_numbers: Sequence[int], number: int) -> int:
    right = bisect.bisect_left(sorted_numbers, number)
    neighbors = sorted_numbers[max(0, right - 1) : right + 1]
    return min(neighbors, key=lambda neighbor: abs(neighbor - number))


def _heat_box(image: np.ndarray, crop: Crop, heat: np.ndarray) -> None:
    """Lays the heat map of a crop over the frame, inside the face's box."""
    x0, y0, x1, y1 = _clipped(crop.box, image)
    if x0 >= x1 or y0 >= y1:
        return
    size = crop.image.shape[0]
    smooth = cv2.resize(heat, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    matrix = crop.matrix.copy()
    matrix[:, 2] += crop.matrix[:, :2] @ [x0, y0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(smooth, matrix, (x1 - x0, y1 - y0), flags=flags)
    image[y0:y1, x0:x1] = overlay(image[y0:y1, x0:x1], inside)


def _draw_box(image: np.ndarray, face: FaceScore, label: str | None) -> None:
    color = COLORS[label or INCONCLUSIVE]
    x0, y0, x1, y1 = _clipped(face.crop.box, image)
    line = max(2, round(min(image.shape[:2]) / 240))
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), _WHITE, line + 2)
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), color, line)
    _write(image, _text(face, label), (x0, y0), color)


def _text(face: FaceScore, label: str | None) -> str:
    if face.quality is not None:
        return f"{face.track}: not judged, {FLAWS[face.quality]}"
    word = "not yet judged" if label is None else verdict.WORDS[label]
    return f"{face.track}: {word}, {verdict.percent(face.score)} here"


def _write_note(image: np.ndarray, text: str) -> None:
    _write(image, text, (0, image.shape[0]), COLORS[INCONCLUSIVE])


def _write(image: np.ndarray, text: str, corner: tuple[int, int], color: tuple[int, ...]) -> None:
    """Writes white on a color, above the corner (x, y) or as near to it as fits in the image."""
    height, width = image.shape[:2]
    scale = max(0.45, min(height, width) / 900)
    thickness = max(1, round(1.6 * scale))
    font = cv2.FONT_HERSHEY_SIMPLEX
    (wide, high), base = cv2.getTextSize(text, font, scale, thickness)
    margin = base // 2 + 2
    x = max(0, min(corner[0], width - wide - 2 * margin))
    y = max(high + base + 2 * margin, corner[1])
    top = y - high - base - 2 * margin
    cv2.rectangle(image, (x, top), (x + wide + 2 * margin, y), color, cv2.FILLED)
    at = x + margin, y - base - margin
    cv2.putText(image, text, at, font, scale, _WHITE, thickness, cv2.LINE_AA)


def _clipped(box: np.ndarray, image: np.ndarray) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    sides = np.clip(np.rint(box), 0, [width, height, width, height]).astype(int)
    return tuple(sides.tolist())
