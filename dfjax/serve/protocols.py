"""What both protocols for face crops share: names of tensors, strict JSON, arrays of pixels."""

import base64
import binascii
import json
import math
from typing import Any

import numpy as np

from dfjax.serve.errors import RequestError, bad_request
from dfjax.serve.settings import Settings

INPUT_PIXELS, INPUT_PICTURES = "image", "image_bytes"
OUTPUTS = ("score", "logit", "label")


def parse_json(data: bytes, settings: Settings) -> dict[str, Any]:
    """Returns the object in `data`: strict JSON, so neither NaN nor Infinity.

    Raises:
      RequestError: over a limit of `settings` (413), not JSON, or not an object (400).
    """
    if len(data) > settings.max_json_bytes or data.count(b",") > settings.max_json_values:
        limit = f"{settings.max_json_bytes} bytes or {settings.max_json_values} values"
        message = f"the JSON is over {limit}: send fewer crops, or binary data"
        raise RequestError(413, "too_large", message)
    try:
        value = json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_request(f"the body is a JSON {type(value).__name__}: send an object")
    return value


def to_pixels(data: Any, size: int) -> np.ndarray:
    """Returns nested lists of whole numbers 0 to 255 as uint8 [N, size, size, 3]."""
    return check_pixels(_whole_numbers(data), size)


def to_flat_pixels(data: Any, shape: list[int]) -> np.ndarray:
    """Returns flat or nested lists of whole numbers 0 to 255 as uint8 of this shape."""
    pixels = _whole_numbers(data)
    if pixels.size != math.prod(shape):
        raise bad_request(f"{pixels.size} numbers for shape {shape}: send {math.prod(shape)}")
    return pixels.reshape(shape)


def check_pixels(pixels: np.ndarray, size: int) -> np.ndarray:
    """Returns the array if it is [N, size, size, 3] and N at least 1, else raises RequestError."""
    if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3) or not len(pixels):
        raise bad_request(f"shape {list(pixels.shape)}: send [N, {size}, {size}, 3], N at least 1")
    return pixels


def to_bytes(text: Any) -> bytes:
    """Returns the bytes of a base64 string, or raises RequestError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise bad_request("a picture is not base64: encode the bytes of the file") from error


def _whole_numbers(data: Any) -> np.ndarray:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise bad_request("the rows of a tensor have different lengths") from error
    # Numbers in 0..1 are refused: a client that sends them means another scale.
    if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() <= 255):
        raise bad_request("pixels are whole numbers from 0 to 255: send uint8")
    return array.astype(np.uint8)


def _refuse(token: str) -> None:
    raise ValueError(f"{token} is not part of JSON")
