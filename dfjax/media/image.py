"""Pictures: bytes to RGB and back, by one reader for training, evaluation and serving.

OpenCV decodes JPEG, PNG, WebP and BMP, Pillow GIF and TIFF, `heif_pixels` HEIC and AVIF; all of
them after the header was checked.
"""

import base64
import io
import os
import stat
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps

from dfjax.errors import UserError
from dfjax.media import kind, limits, picture, picture_header, profile
from dfjax.media.errors import MediaError
from dfjax.media.picture import Picture
from dfjax.media.picture_header import Header

_ENCODINGS = {
    "jpeg": [
        cv2.IMWRITE_JPEG_QUALITY,
        95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
    "png": [],
}
_BY_PILLOW = ("GIF", "TIFF")
_GRAY_MODES = ("1", "L", "LA", "I;16")
_SCREEN_GAMMAS = (0.4, 0.5)  # of a PNG that was made on a screen like ours: 1 / 2.2, and about it
_ROWS = 256  # converted at a time


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Returns the image of `read_picture`."""
    return read_picture(path).image


def read_picture(path: str | os.PathLike) -> Picture:
    """Returns the picture at `path` as `decode_picture` does.

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
        return decode_picture(data)
    except MediaError as error:
        raise MediaError(error.code, f"{path}: {error}") from error


def decode_image(data: bytes) -> np.ndarray:
    """Returns the image of `decode_picture`."""
    return decode_picture(data).image


def decode_picture(data: bytes) -> Picture:
    """Returns the picture as a viewer shows it on an sRGB screen: RGB uint8 [H, W, 3], upright.

    Of several pictures (an animation, a burst, pages) it is the first, or the one that the file
    calls its primary one. A color profile is applied; without one, samples are sRGB. Samples of
    more than 8 bits keep their upper 8, gray becomes three equal channels, CMYK is converted, and
    an alpha channel is dropped without blending.

    Raises:
      MediaError: the bytes are not JPEG, PNG, WebP, BMP, GIF, TIFF, HEIC or AVIF, are over a limit
        of `limits`, or broken.
    """
    if not data:
        raise MediaError("empty", "the picture has no bytes: save it again")
    data = bytes(data)  # what came over a socket may be a bytearray, whose pieces are no keys
    if kind.is_heif(data[: kind.HEAD_BYTES]):
        from dfjax.media import heif_pixels  # loads FFmpeg, which data workers do without

        return heif_pixels.read(data)
    header = picture_header.read(data)
    by_pillow = header.format in _BY_PILLOW or (header.mode == "CMYK" and header.profile)
    image, notes = (_decode_by_pillow if by_pillow else _decode_by_opencv)(data, header)
    return Picture(image, notes + picture.left_out(header.num_pictures))


def _decode_by_opencv(data: bytes, header: Header) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise _corrupt() from error
    if image is None:
        raise _corrupt()
    if header.coding:
        return _to_screen(image, header.coding), ()
    if header.profile:
        return _apply_profile(image, header)
    if header.gamma and not _SCREEN_GAMMAS[0] < header.gamma < _SCREEN_GAMMAS[1]:
        return image, (f"its gamma of {header.gamma:g} was not applied: it may look too dark",)
    return image, ()


def _apply_profile(image: np.ndarray, header: Header) -> tuple[np.ndarray, tuple[str, ...]]:
    is_gray = header.mode in _GRAY_MODES
    conversion, notes = profile.find_conversion("L" if is_gray else "RGB", header.profile)
    if conversion is None:
        return image, notes
    return conversion.apply(Image.fromarray(image[..., 0] if is_gray else image)), notes


def _to_screen(image: np.ndarray, names: tuple[int, int]) -> np.ndarray:
    from dfjax.media import color  # loads FFmpeg, too

    coding = color.Coding(0, *names)
    if not coding.is_plain:
        for top in range(0, len(image), _ROWS):
            rows = image[top : top + _ROWS]
            rows[:] = color.to_screen(rows.astype(np.uint16) * 256, coding)
    return image


def _decode_by_pillow(data: bytes, header: Header) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags that are not read
            with Image.open(io.BytesIO(data), formats=(header.format,)) as opened:
                opened.load()
                plain = _plain(ImageOps.exif_transpose(opened), header)
    except MediaError:
        raise
    except Exception as error:  # on hostile bytes Pillow raises half a dozen types
        raise _corrupt() from error
    return profile.to_srgb(plain, header.profile)


def _plain(image: Image.Image, header: Header) -> Image.Image:
    """The pixels as L, RGB, CMYK or LAB, without alpha."""
    if image.mode.startswith("I;16"):
        gray = (np.asarray(image) >> (header.tiff.bits - 8)).astype(np.uint8)
        return Image.fromarray(255 - gray if header.tiff.is_inverted else gray)
    if image.mode in ("1", "LA"):
        return image.convert("L")
    if image.mode == "RGBa":  # the colors were multiplied by alpha
        image = image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")


def _corrupt() -> MediaError:
    return MediaError("corrupt", "the picture does not decode: save it again")


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


def data_uri(image: np.ndarray, *, side: int | None = None) -> str:
    """Returns RGB uint8 [H, W, 3] as a JPEG within a text, for pages that load nothing.

    `side` makes it that many pixels wide and high.
    """
    if side is not None:
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return f"data:image/jpeg;base64,{base64.b64encode(encode_image(image, 'jpeg')).decode()}"
