"""Pictures and films in the lossy codecs of the world, at any quality, in memory alone."""

import io
from collections.abc import Sequence

import av
import cv2
import numpy as np
from PIL import Image

from dfjax.media import image as media_image
from dfjax.media import video
from dfjax.media.film import Film

_OPENCV_QUALITY = {"jpeg": cv2.IMWRITE_JPEG_QUALITY, "webp": cv2.IMWRITE_WEBP_QUALITY}
_AVIF = {"speed": 8, "max_threads": 1}  # a tenth of the time of the slowest, and the same bytes
_FPS = 25
_MIN_SIDE = 66  # pixels: within one block of 64, libx265 leaves its own memory


def encode_picture(image: np.ndarray, codec: str, quality: int) -> bytes:
    """Returns the file of RGB uint8 [H, W, 3] in "jpeg", "webp" or "avif", with 4:2:0 chroma.

    `quality` is the encoder's, 0 to 100: scales of different codecs are not comparable.
    """
    if codec == "avif":
        file = io.BytesIO()
        Image.fromarray(image).save(file, "AVIF", quality=quality, **_AVIF)
        return file.getvalue()
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(f".{codec}", bgr, [_OPENCV_QUALITY[codec], quality])[1].tobytes()


def recode_picture(image: np.ndarray, codec: str, quality: int) -> np.ndarray:
    """Returns what a viewer shows of the file of `encode_picture`: RGB uint8 [H, W, 3]."""
    return media_image.decode_image(encode_picture(image, codec, quality))


def encode_film(frames: Sequence[np.ndarray], codec: str, crf: int) -> bytes:
    """Returns the .mp4 of RGB uint8 [H, W, 3] frames in "h264" or "h265" (`video.write_video`).

    Sides grow to an even number, as chroma has half of it, and to 66 pixels at least.

    Raises:
      ValueError: there is no frame, or frames differ in size.
    """
    file = io.BytesIO()
    video.write_video(file, map(_extended, frames), fps=_FPS, crf=crf, codec=codec)
    return file.getvalue()


def recode_film(frames: Sequence[np.ndarray], codec: str, crf: int) -> list[np.ndarray]:
    """Returns what a player shows of the file of `encode_film`: as many, of the same size."""
    height, width, _ = frames[0].shape
    with av.open(io.BytesIO(encode_film(frames, codec, crf))) as container:
        shown = [frame.image() for frame in Film(container, "a film").frames()]
    return [image[:height, :width] for image in shown]


def _extended(image: np.ndarray) -> np.ndarray:
    """The picture with its last row and column repeated."""
    missing = [(0, max(side + side % 2, _MIN_SIDE) - side) for side in image.shape[:2]]
    return np.pad(image, (*missing, (0, 0)), mode="edge")
