"""What both protocols for face crops share: names of tensors, strict JSON, base64."""

import base64
import binascii
import json
import math
from typing import Any

from dfjax.model_card import ModelCard
from dfjax.serve.errors import RequestError, bad_request
from dfjax.serve.settings import Settings

INPUT_PIXELS, INPUT_PICTURES = "image", "image_bytes"
_OUTPUTS = ("score", "logit", "label")


def outputs_of(card: ModelCard) -> tuple[str, ...]:
    """Returns the names of what a model says of crops: `_OUTPUTS`, and those of the network."""
    return tuple(dict.fromkeys((*_OUTPUTS, *card.outputs)))


def parse_json(data: bytes, settings: Settings) -> dict[str, Any]:
    """Returns the object in `data`: strict JSON, so no number is infinite or NaN.

    Raises:
      RequestError: over a limit of `settings` (413), not JSON, or not an object (400).
    """
    if len(data) > settings.max_json_bytes or data.count(b",") > settings.max_json_values:
        limit = f"{settings.max_json_bytes} bytes or {settings.max_json_values} values"
        message = f"the JSON is over {limit}: send fewer crops, or binary data"
        raise RequestError(413, "too_large", message)
    try:
        value = json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise bad_request(f"the body is a JSON {type(value).__name__}: send an object")
    return value


def to_bytes(text: Any) -> bytes:
    """Returns the bytes of a base64 string, or raises RequestError.

    White space and missing padding are accepted, as TensorFlow Serving does.
    """
    if not isinstance(text, str):
        raise bad_request("a picture is not a string: encode the bytes of the file as base64")
    try:
        data = text.encode("ascii").translate(None, b" \t\r\n")
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request("a picture is not base64: encode the bytes of the file") from error


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _refuse(token: str) -> None:
    raise ValueError(f"{token} is not part of JSON")
