"""Boxes, texts and heat maps in pictures and videos, whatever they mean. Imports no JAX.

Runs in a sandboxed process where the picture is a stranger's (`inference.tasks`).
"""

import bisect
import dataclasses
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from dfjax.media import film, limits
from dfjax.media import image as media_image
from dfjax.media import video as media_video

Color = tuple[int, int, int]  # RGB

_WHITE = (255, 255, 255)
_GREY = (70, 70, 70)
_CRF = 18  # of libx264: no loss that an eye would see


@dataclasses.dataclass(frozen=True)
class Mark:
    """What is drawn around one face in one frame.

    Attributes:
      frame: its number among the frames that decode.
      box: x0, y0, x1, y1 in pixels of the frame.
      color: of the box.
      text: one line.
      matrix: float64 [2, 3], maps a point (x, y, 1) of the frame to the crop.
      size: side of the crop, in pixels.
      heat: heat map [h, w] in 0..1 of the crop; None: there is none.
    """

    frame: int
    box: Sequence[float]
    color: Color
    text: str
    matrix: np.ndarray
    size: int
    heat: np.ndarray | None = None


def draw(image: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Returns a copy of RGB uint8 [H, W, 3] with marks; heat maps lie inside of their boxes."""
    drawn = image.copy()
    for mark in marks:
        if mark.heat is not None:
            _heat_box(drawn, mark)
    for mark in marks:
        _draw_box(drawn, mark)
    return drawn


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Returns RGB uint8 [H, W, 3] with the heat map [h, w] in 0..1 laid over it."""
    height, width = image.shape[:2]
    smooth = cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colors = cv2.applyColorMap(np.uint8(255 * smooth), cv2.COLORMAP_INFERNO)
    strength = 0.65 * smooth[..., None]
    mixed = (1 - strength) * image + strength * cv2.cvtColor(colors, cv2.COLOR_BGR2RGB)
    return np.rint(mixed).astype(np.uint8)


def mark_picture(path: str, marks: Sequence[Mark]) -> bytes:
    """Returns a JPEG of the picture at `path` with marks; MediaError if it does not decode."""
    return media_image.encode_image(draw(media_image.read_image(path), marks), "jpeg")


def mark_video(
    path: str,
    marks: Sequence[Mark],
    *,
    size: tuple[int, int],
    fps: float,
    analysed: Sequence[int],
    is_long: bool,
) -> bytes:
    """Returns the video at `path` with marks, as mp4 (H.264, no sound), at its own times.

    Marks belong to the frames number `analysed`: a frame in between shows those of the nearest
    one, and says so. A long video gives these frames alone. `size` is the
    width and height of frames; one that has another is stretched. `fps` is only for the last.

    Raises:
      MediaError: the video does not decode.
    """
    file = io.BytesIO()
    if is_long:
        video = media_video.read_video(path, len(analysed))
        frames = zip(video.indices, video.times, video.frames, strict=True)
    else:
        frames = _all_frames(path)
    media_video.write_timed(file, _marked(frames, marks, size, analysed), fps=fps, crf=_CRF)
    return file.getvalue()


_Numbered = tuple[int, float, np.ndarray]  # number, time in seconds, RGB


def _all_frames(path: str) -> Iterator[_Numbered]:
    with film.open_film(path) as opened:
        frames = itertools.islice(opened.frames(), limits.MAX_VIDEO_FRAMES)
        for number, frame in enumerate(frames):
            yield number, frame.time, frame.image()


def _marked(
    frames: Iterable[_Numbered],
    marks: Sequence[Mark],
    size: tuple[int, int],
    analysed: Sequence[int],
) -> Iterator[tuple[float, np.ndarray]]:
    """Yields every frame and its time, cut to even sides as the encoder needs them."""
    for number, time, image in frames:
        if image.shape[1::-1] != size:  # a stream may change its size on the way
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        nearest = _nearest(analysed, number)
        nearby = [mark for mark in marks if mark.frame == nearest]
        drawn = draw(image, nearby)
        if nearby and nearest != number:
            _write(drawn, f"faces as in frame {nearest}", (0, drawn.shape[0]), _GREY)
        yield time, drawn[: size[1] // 2 * 2, : size[0] // 2 * 2]


def _nearest(sorted_numbers: Sequence[int], number: int) -> int:
    right = bisect.bisect_left(sorted_numbers, number)
    neighbors = sorted_numbers[max(0, right - 1) : right + 1]
    return min(neighbors, key=lambda neighbor: abs(neighbor - number))


def _heat_box(image: np.ndarray, mark: Mark) -> None:
    """Lays the heat map of a crop over the frame, inside the face's box."""
    x0, y0, x1, y1 = _clipped(mark.box, image)
    if x0 >= x1 or y0 >= y1:
        return
    size = mark.size, mark.size
    smooth = cv2.resize(mark.heat, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    matrix = mark.matrix.copy()
    matrix[:, 2] += mark.matrix[:, :2] @ [x0, y0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(smooth, matrix, (x1 - x0, y1 - y0), flags=flags)
    image[y0:y1, x0:x1] = overlay(image[y0:y1, x0:x1], inside)


def _draw_box(image: np.ndarray, mark: Mark) -> None:
    x0, y0, x1, y1 = _clipped(mark.box, image)
    line = max(2, round(min(image.shape[:2]) / 240))
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), _WHITE, line + 2)
    cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), mark.color, line)
    _write(image, mark.text, (x0, y0), mark.color)


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


def _clipped(box: Sequence[float], image: np.ndarray) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    sides = np.clip(np.rint(box), 0, [width, height, width, height]).astype(int)
    return tuple(sides.tolist())
