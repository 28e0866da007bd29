"""Routes of the Open Inference Protocol ("V2": KServe, Triton) for crops, with binary data.

A request has one input: `image` (UINT8 [N, S, S, 3]) or `image_bytes` (BYTES [N], encoded
pictures; base64 in JSON). It returns `score` and `logit` (FP32 [N]), `label` (BYTES [N]) and, of a
model with a gate, `strangeness` (FP32 [N]). See
https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md.
"""

import asyncio
import json
import math
import struct
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from dfjax import versions
from dfjax.serve import crop_limits, protocols
from dfjax.serve.crop_limits import CropLimits
from dfjax.serve.errors import bad_request
from dfjax.serve.protocols import INPUT_PICTURES, INPUT_PIXELS
from dfjax.serve.service import Scores, Service

router = APIRouter(prefix="/v2")

JSON_LENGTH = "Inference-Header-Content-Length"
_DATATYPES = {INPUT_PIXELS: "UINT8", INPUT_PICTURES: "BYTES"}
_LENGTH = struct.Struct("<I")  # before each element of BYTES
_MAX_SIZES = 4  # of a shape: that of pixels
_MAX_ID = 256  # characters


@router.get("")
async def show_server() -> JSONResponse:
    """The server, its version and its extensions."""
    version = versions.installed_version("dfjax")
    return JSONResponse({"name": "dfjax", "version": version, "extensions": ["binary_tensor_data"]})


@router.get("/health/live")
async def show_liveness() -> JSONResponse:
    """That the process answers."""
    return JSONResponse({"live": True})


@router.get("/health/ready")
async def show_readiness(request: Request) -> JSONResponse:
    """Whether the server takes requests: 503 while it stops, or its processes start again."""
    ready = request.app.state.service.ready
    return JSONResponse({"ready": ready}, *_status_of(ready))


@router.get("/models/dfjax/ready")
@router.get("/models/dfjax/versions/{number}/ready")
async def show_model_readiness(request: Request, number: str | None = None) -> JSONResponse:
    """Whether this version takes requests."""
    service: Service = request.app.state.service
    service.model_version(number)
    ready = service.ready
    return JSONResponse({"name": "dfjax", "ready": ready}, *_status_of(ready))


def _status_of(ready: bool) -> tuple[int, dict[str, str]]:
    """The status and the headers of an answer."""
    return (200, {}) if ready else (503, {"Retry-After": "1"})


@router.get("/models/dfjax")
@router.get("/models/dfjax/versions/{number}")
async def show_model(request: Request, number: str | None = None) -> JSONResponse:
    """The two inputs of the model, of which a request has one, and its outputs."""
    version = request.app.state.service.model_version(number)
    size = version.detector.crop_spec.size
    return JSONResponse(
        {
            "name": "dfjax",
            "versions": [str(version.number)],
            "platform": f"dfjax_{version.detector.scorer.runtime}",
            "inputs": [
                {"name": INPUT_PIXELS, "datatype": "UINT8", "shape": [-1, size, size, 3]},
                {"name": INPUT_PICTURES, "datatype": "BYTES", "shape": [-1]},
            ],
            "outputs": [
                {"name": name, "datatype": _datatype(name), "shape": [-1]}
                for name in protocols.outputs_of(version.detector.scorer.card)
            ],
        }
    )


@router.post("/models/dfjax/infer")
@router.post("/models/dfjax/versions/{number}/infer")
async def infer(request: Request, number: str | None = None) -> Response:
    """Scores of the crops in the request's one input."""
    service: Service = request.app.state.service
    version = service.model_version(number)
    header, binary = _split(await request.body(), request.headers.get(JSON_LENGTH))
    content = await asyncio.to_thread(protocols.parse_json, header, service.settings)
    answer = {"model_name": "dfjax", "model_version": str(version.number), **_id(content)}
    known = protocols.outputs_of(version.detector.scorer.card)
    names, in_binary = _requested_outputs(content, known)
    limits = CropLimits(version.detector.crop_spec.size, service.settings.max_crops)
    name, crops = await asyncio.to_thread(_read_input, content, binary, limits)
    if name == INPUT_PICTURES:
        crops = await service.decode_crops(version, crops)
    return _write(answer, await service.score(version, crops), names, in_binary)


def _split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """(JSON, binary data) of a body."""
    if length is None:
        return body, b""
    # Twenty digits are more than any body has; Python refuses to read thousands of them.
    if len(length) > 20 or not length.isdecimal() or int(length) > len(body):
        raise bad_request(f"{JSON_LENGTH} is {length[:20]!r}: the body has {len(body)} bytes")
    return body[: int(length)], body[int(length) :]


def _id(content: dict[str, Any]) -> dict[str, str]:
    """The `id` to send back, if there is one."""
    if "id" not in content:
        return {}
    value = content["id"]
    if not isinstance(value, str) or len(value) > _MAX_ID or not _is_unicode(value):
        raise bad_request(f"id is not a string of at most {_MAX_ID} characters")
    return {"id": value}


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read_input(content: dict[str, Any], binary: bytes, limits: CropLimits) -> tuple[str, Any]:
    """(name, pixels uint8 [N, S, S, 3] or a list of N encoded pictures) of the only input."""
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise bad_request(f"send one input: {INPUT_PIXELS} or {INPUT_PICTURES}")
    tensor = inputs[0]
    name, shape = tensor.get("name"), _shape(tensor)
    if not isinstance(name, str) or tensor.get("datatype") != _DATATYPES.get(name, ()):
        raise bad_request("inputs are image of UINT8, or image_bytes of BYTES")
    if name == INPUT_PIXELS:
        limits.check_shape(shape)
    else:
        limits.check_count(_num_pictures(shape))
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if binary or "data" not in tensor:
            raise bad_request("an input has data, or binary_data_size for what follows the JSON")
        return name, _from_json(name, tensor["data"], shape)
    if size != len(binary):
        raise bad_request(f"{len(binary)} bytes follow the JSON: binary_data_size has another size")
    return name, _from_binary(name, binary, shape)


def _from_json(name: str, data: Any, shape: list[int]) -> Any:
    if not isinstance(data, list):
        raise bad_request("data is not a list")
    if name == INPUT_PIXELS:
        is_nested = data and isinstance(data[0], list)
        read = crop_limits.from_lists if is_nested else crop_limits.from_flat_list
        return read(data, shape)
    if len(data) != shape[0]:
        raise bad_request(f"{len(data)} elements for shape {shape}")
    return [protocols.to_bytes(_only(row)) for row in data]


def _only(row: Any) -> Any:
    """The element of a row of shape [N, 1], or of a flat list."""
    return row[0] if isinstance(row, list) and len(row) == 1 else row


def _from_binary(name: str, binary: bytes, shape: list[int]) -> Any:
    if name == INPUT_PICTURES:
        return _elements(binary, shape[0])
    if len(binary) != math.prod(shape):
        raise bad_request(f"{len(binary)} bytes for shape {shape}: send {math.prod(shape)}")
    return np.frombuffer(binary, np.uint8).reshape(shape)


def _elements(binary: bytes, count: int) -> list[bytes]:
    """The elements of BYTES; no more than `count` are looked for."""
    elements, position = [], 0
    while len(elements) < count and position + _LENGTH.size <= len(binary):
        (length,) = _LENGTH.unpack_from(binary, position)
        position += _LENGTH.size + length
        elements.append(binary[position - length : position])
    if position != len(binary) or len(elements) != count:
        raise bad_request(f"the binary data are not {count} elements, each after its length")
    return elements


def _shape(tensor: dict[str, Any]) -> list[int]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or len(shape) > _MAX_SIZES:
        raise bad_request(f"shape is not a list of at most {_MAX_SIZES} sizes")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise bad_request("the sizes of shape are not whole numbers from 0 to 2147483647")
    return shape


def _num_pictures(shape: list[int]) -> int:
    if not shape or shape[1:] not in ([], [1]):
        raise bad_request(f"shape {shape}: send [N] or [N, 1] for N pictures")
    return shape[0]


def _parameters(tensor: dict[str, Any]) -> dict[str, Any]:
    parameters = tensor.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad_request("parameters is not an object")
    return parameters


def _datatype(output: str) -> str:
    return "BYTES" if output == "label" else "FP32"


def _requested_outputs(
    content: dict[str, Any], known: tuple[str, ...]
) -> tuple[list[str], list[bool]]:
    """(names, whether each is requested as binary data); all `known`, where none is named."""
    default = _parameters(content).get("binary_data_output", False)
    outputs = content.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > len(known):
        raise bad_request(f"outputs is not a list of at most {len(known)} objects")
    if not all(isinstance(output, dict) for output in outputs):
        raise bad_request("outputs is not a list of objects")
    outputs = outputs or [{"name": name} for name in known]
    names = [output.get("name") for output in outputs]
    if not all(name in known for name in names):
        raise bad_request(f"there is no such output: send some of {list(known)}")
    return names, [bool(_parameters(o).get("binary_data", default)) for o in outputs]


def _write(
    answer: dict[str, Any], scores: Scores, names: list[str], in_binary: list[bool]
) -> Response:
    outputs, binary = [], b""
    for name, as_binary in zip(names, in_binary, strict=True):
        values = scores.columns[name]
        output = {"name": name, "datatype": _datatype(name), "shape": [len(values)]}
        if as_binary:
            encoded = _encode(values)
            output["parameters"] = {"binary_data_size": len(encoded)}
            binary += encoded
        else:
            output["data"] = list(values) if name == "label" else values.tolist()
        outputs.append(output)
    answer["outputs"] = outputs
    if not any(in_binary):
        return JSONResponse(answer)
    header = json.dumps(answer, allow_nan=False).encode()
    headers = {JSON_LENGTH: str(len(header))}
    return Response(header + binary, 200, headers, media_type="application/octet-stream")


def _encode(values: np.ndarray | list[str]) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype("<f4").tobytes()
    return b"".join(_LENGTH.pack(len(text)) + text.encode() for text in values)
