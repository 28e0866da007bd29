"""From a decoded frame to what a player shows: colors, shape of pixels, rotation and mirroring.

The one place that decides it, for files and live sources. Decoders themselves cut frames to the
rectangle that their codec states.
"""

import math
import os

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from dfjax.media import color, limits, shots
from dfjax.media.errors import MediaError

_MAX_ASPECT = 8.0  # of a pixel: more is no camera's
_RIGHT = math.radians(1)  # a rotation this close to a right angle is one


class Display:
    """Shows the frames of a stream.

    Attributes:
      warnings: what could not be shown as stated, as sentences without a capital and a full stop.
    """

    def __init__(self, stream: VideoStream, path: str | os.PathLike):
        """`path` is for messages."""
        self._stream, self._path = stream, path
        self._warnings: dict[str, None] = {}
        self._shrink = VideoReformatter()

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def show(self, frame: av.VideoFrame) -> np.ndarray:
        """Returns a frame of the stream as RGB uint8 [H, W, 3], upright, with square pixels.

        Raises:
          MediaError: its pixels cannot be converted.
        """
        try:
            image, unknown = color.to_rgb(frame)
        except av.FFmpegError as error:
            raise self._unsupported(frame) from error
        for what in unknown:
            self._warn(f"{what} cannot be converted: colors were taken for BT.709")
        return np.ascontiguousarray(self._turn(self._stretch(image), frame))

    def shrink(self, frame: av.VideoFrame) -> np.ndarray:
        """Returns a small copy of a frame as it is stored, RGB uint8 [36, 64, 3], to compare.

        Raises:
          MediaError: its pixels cannot be converted.
        """
        try:
            copy = self._shrink.reformat(
                frame,
                width=shots.WIDTH,
                height=shots.HEIGHT,
                format="rgb24",
                interpolation=Interpolation.AREA,
                threads=1,
            )
        except av.FFmpegError as error:
            raise self._unsupported(frame) from error
        return copy.to_ndarray()

    def _unsupported(self, frame: av.VideoFrame) -> MediaError:
        message = f"{self._path}: pixels of the kind {frame.format.name}: encode it as yuv420p"
        return MediaError("unsupported", message)

    def _stretch(self, image: np.ndarray) -> np.ndarray:
        """Makes pixels square; like players, by more pixels and never by fewer."""
        aspect = float(self._stream.sample_aspect_ratio or 1)
        if abs(aspect - 1) < 1e-3:
            return image
        height, width = image.shape[:2]
        wider, higher = round(width * max(aspect, 1)), round(height * max(1 / aspect, 1))
        if not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT or wider * higher > limits.MAX_FRAME_PIXELS:
            self._warn(f"pixels are stated to be {aspect:.3g} times as wide as high: not believed")
            return image
        return cv2.resize(image, (wider, higher), interpolation=cv2.INTER_LINEAR)

    def _turn(self, image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
        stated = frame.side_data.get(Type.DISPLAYMATRIX)
        if stated is None:
            return image
        matrix = _linear_part(bytes(stated))
        if matrix is None:
            self._warn("the display matrix cannot be inverted: frames are shown as they are stored")
            return image
        return turn(image, matrix)

    def _warn(self, sentence: str) -> None:
        self._warnings[sentence] = None


def turn(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Returns an image [H, W, 3] turned and mirrored by a matrix [2, 2], not scaled.

    The matrix sends a pixel's (x, y) to its place, y downwards. At an angle that is not a right
    one, the corners are black.
    """
    columns = matrix / np.linalg.norm(matrix, axis=0)
    straight = np.rint(columns)
    if np.abs(columns - straight).max() > math.sin(_RIGHT):
        return _warp(image, columns)
    if straight[0, 0] == 0:
        image, straight = image.swapaxes(0, 1), straight[:, ::-1]
    return image[:: int(straight[1, 1]), :: int(straight[0, 0])]


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix.T
    low, high = corners.min(0), corners.max(0)
    # OpenCV counts from the centers of pixels, half a pixel from their corners.
    shift = matrix @ [0.5, 0.5] - low - 0.5
    size = np.ceil(high - low - 1e-6).astype(int).tolist()
    return cv2.warpAffine(image, np.column_stack([matrix, shift]), size)


def _linear_part(stated: bytes) -> np.ndarray | None:
    """The [2, 2] that sends (x, y) as columns, of the matrix of ISO/IEC 14496-12, 6.2.2."""
    a, b, _, c, d = np.frombuffer(stated, np.int32)[:5] / 2**16
    matrix = np.array([[a, c], [b, d]])
    norms = np.linalg.norm(matrix, axis=0)
    if norms.min() == 0 or abs(np.linalg.det(matrix / norms)) < 0.5:
        return None
    return matrix
