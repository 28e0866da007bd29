"""Pictures: bytes to RGB and back, by one decoder for training, evaluation and serving.

OpenCV decodes. Pillow reads the header first, because OpenCV allocates what a header claims before
it reads on: 875 kB of PNG can ask for 5 GB.
"""

import io
import os
import re
import stat
import warnings

import cv2
import numpy as np
from PIL import Image

from dfjax.errors import UserError
from dfjax.media import limits
from dfjax.media.errors import MediaError

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_ENCODINGS = {
    "jpeg": [
        cv2.IMWRITE_JPEG_QUALITY,
        95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
    "png": [],
}
# The markers libjpeg acts on. All but SOI (D8) and EOI (D9) are followed by a length.
_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xef\xfe])")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Returns the picture at `path` as `decode_image` does.

    Raises:
      MediaError: the file cannot be read, is over a limit, or does not decode.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe may never end
            raise MediaError(
                "unreadable", f"{path}: not a regular file: give the path of a picture"
            )
        size = status.st_size
        if size > limits.MAX_IMAGE_BYTES:
            raise MediaError(
                "too_large",
                f"{path}: {size} bytes are over {limits.MAX_IMAGE_BYTES}: scale the picture down",
            )
        with open(path, "rb") as file:
            data = file.read(size)
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror}: give a readable file") from error
    try:
        return decode_image(data)
    except MediaError as error:
        raise MediaError(error.code, f"{path}: {error}") from error


def decode_image(data: bytes) -> np.ndarray:
    """Returns the picture as RGB uint8 [H, W, 3], upright by its EXIF orientation.

    An animation gives its first frame. 16-bit samples keep their upper 8 bits, gray becomes three
    equal channels, CMYK is converted, and an alpha channel is dropped without blending.

    Raises:
      MediaError: the bytes are not JPEG, PNG, WebP or BMP, are over a limit of `limits`, or broken.
    """
    _check_header(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise MediaError("corrupt", "the picture does not decode: save it again") from error
    if image is None:
        raise MediaError("corrupt", "the picture does not decode: save it again")
    return image


def encode_image(image: np.ndarray, encoding: str) -> bytes:
    """Returns the bytes of a file that holds RGB uint8 [H, W, 3].

    `encoding` is "jpeg" (quality 95, chroma at full resolution, which detectors use) or "png"
    (lossless).

    Raises:
      UserError: the encoding is unknown.
      ValueError: the array has another shape or type.
    """
    if encoding not in _ENCODINGS:
        raise UserError(f"encoding {encoding!r} is unknown: use one of {sorted(_ENCODINGS)}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype} {image.shape}: give RGB uint8 [H, W, 3]")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(f".{encoding}", bgr, _ENCODINGS[encoding])
    return encoded.tobytes()


def _check_header(data: bytes) -> None:
    """Refuses bytes that are empty, of another format, or too costly to decode."""
    if not data:
        raise MediaError("empty", "the picture has no bytes: save it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our limit is lower
            with Image.open(io.BytesIO(data), formats=_FORMATS) as header:
                file_format, (width, height) = header.format, header.size
    except Image.UnidentifiedImageError as error:
        raise MediaError("unsupported", "not a JPEG, PNG, WebP or BMP: convert it") from error
    except Image.DecompressionBombError as error:
        raise MediaError("too_large", f"over {limits.MAX_PIXELS} pixels: scale it down") from error
    except Exception as error:  # on hostile bytes Pillow raises half a dozen types
        raise MediaError("corrupt", "the header is broken: save the picture again") from error
    if width * height > limits.MAX_PIXELS:
        raise MediaError(
            "too_large",
            f"{width}x{height} is over {limits.MAX_PIXELS} pixels: scale it down",
        )
    if file_format in ("JPEG", "MPO") and _num_jpeg_scans(data) > limits.MAX_JPEG_SCANS:
        raise MediaError("too_large", f"over {limits.MAX_JPEG_SCANS} JPEG scans: save it again")
    if file_format == "PNG" and not _has_whole_chunks(data):
        raise MediaError("corrupt", "a PNG chunk is longer than the file: save the picture again")


def _num_jpeg_scans(data: bytes) -> int:
    """Counts scans as libjpeg does; a plain search would also count thumbnails and trailers."""
    num_scans, position = 0, 2
    while match := _JPEG_MARKER.search(data, position):
        marker, position = match[1], match.end()
        if marker == b"\xd9":
            break
        if marker != b"\xd8":
            position += int.from_bytes(data[position : position + 2])
        num_scans += marker == b"\xda"
    return num_scans


def _has_whole_chunks(data: bytes) -> bool:
    # OpenCV allocates what a chunk claims, up to 4 GB, before it notices that the data ends.
    position = 8
    while position < len(data):
        length, kind = (
            int.from_bytes(data[position : position + 4]),
            data[position + 4 : position + 8],
        )
        position += 12 + length
        if kind == b"IEND":
            break
    return position <= len(data)
