"""Routes of the Open Inference Protocol ("V2": KServe, Triton) for crops, with binary data.

A request has one input: `image` (UINT8 [N, S, S, 3]) or `image_bytes` (BYTES [N], encoded
pictures; base64 in JSON). It returns `score` and `logit` (FP32 [N]) and `label` (BYTES [N]). See
https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.md.
"""

import asyncio
import json
import struct
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from dfjax import versions
from dfjax.serve import protocols
from dfjax.serve.errors import bad_request
from dfjax.serve.protocols import INPUT_PICTURES, INPUT_PIXELS, OUTPUTS
from dfjax.serve.service import Scores, Service

router = APIRouter(prefix="/v2")

_JSON_LENGTH = "Inference-Header-Content-Length"
_DATATYPES = {INPUT_PIXELS: "UINT8", INPUT_PICTURES: "BYTES"}
_LENGTH = struct.Struct("<I")  # before each element of BYTES


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
    """Whether the server takes requests: 503 while it stops."""
    ready = request.app.state.service.ready
    return JSONResponse({"ready": ready}, 200 if ready else 503)


@router.get("/models/dfjax/ready")
@router.get("/models/dfjax/versions/{number}/ready")
async def show_model_readiness(request: Request, number: str | None = None) -> JSONResponse:
    """Whether this version takes requests."""
    service: Service = request.app.state.service
    service.model_version(number)
    ready = service.ready
    return JSONResponse({"name": "dfjax", "ready": ready}, 200 if ready else 503)


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
                {"name": "score", "datatype": "FP32", "shape": [-1]},
                {"name": "logit", "datatype": "FP32", "shape": [-1]},
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
            ],
        }
    )


@router.post("/models/dfjax/infer")
@router.post("/models/dfjax/versions/{number}/infer")
async def infer(request: Request, number: str | None = None) -> Response:
    """Scores of the crops in the request's one input."""
    service: Service = request.app.state.service
    version = service.model_version(number)
    header, binary = _split(await request.body(), request.headers.get(_JSON_LENGTH))
    content = await asyncio.to_thread(protocols.parse_json, header, service.settings)
    names, in_binary = _requested_outputs(content)
    name, values = await asyncio.to_thread(_read_input, content, binary)
    if name == INPUT_PIXELS:
        crops = protocols.check_pixels(values, version.detector.crop_spec.size)
    else:
        crops = await service.decode_crops(version, values)
    scores = await service.score(version, crops)
    answer = {"model_name": "dfjax", "model_version": str(version.number)}
    if "id" in content:
        answer["id"] = content["id"]
    return _write(answer, scores, names, in_binary)


def _split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """(JSON, binary data) of a body."""
    if length is None:
        return body, b""
    if not length.isdecimal() or int(length) > len(body):
        raise bad_request(f"{_JSON_LENGTH} is {length[:20]!r}: the body has {len(body)} bytes")
    return body[: int(length)], body[int(length) :]


def _read_input(content: dict[str, Any], binary: bytes) -> tuple[str, Any]:
    """(name, pixels uint8 or a list of encoded pictures) of the only input."""
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise bad_request(f"send one input: {INPUT_PIXELS} or {INPUT_PICTURES}")
    tensor = inputs[0]
    name, shape = tensor.get("name"), _shape(tensor)
    if name not in _DATATYPES or tensor.get("datatype") != _DATATYPES[name]:
        raise bad_request("inputs are image of UINT8, or image_bytes of BYTES")
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if binary or "data" not in tensor:
            raise bad_request("an input has data, or binary_data_size for what follows the JSON")
        return name, _from_json(name, tensor["data"], shape)
    if size != len(binary):
        raise bad_request(f"binary_data_size is {size!r}: {len(binary)} bytes follow the JSON")
    return name, _from_binary(name, binary, shape)


def _from_json(name: str, data: Any, shape: list[int]) -> Any:
    if name == INPUT_PIXELS:
        return protocols.to_flat_pixels(data, shape)
    if not isinstance(data, list) or shape != [len(data)]:
        raise bad_request(f"shape {shape} is not that of the data")
    return [protocols.to_bytes(text) for text in data]


def _from_binary(name: str, binary: bytes, shape: list[int]) -> Any:
    if name == INPUT_PIXELS:
        pixels = np.frombuffer(binary, np.uint8)
        if pixels.size != np.prod(shape, dtype=object):
            raise bad_request(f"{pixels.size} bytes for shape {shape}")
        return pixels.reshape(shape)
    pictures, position = [], 0
    while position + _LENGTH.size <= len(binary):
        (length,) = _LENGTH.unpack_from(binary, position)
        position += _LENGTH.size + length
        pictures.append(binary[position - length : position])
    if position != len(binary) or shape != [len(pictures)]:
        raise bad_request(f"the binary data are not {shape} elements, each after its length")
    return pictures


def _shape(tensor: dict[str, Any]) -> list[int]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise bad_request("shape is not a list of sizes")
    return shape


def _parameters(tensor: dict[str, Any]) -> dict[str, Any]:
    parameters = tensor.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad_request("parameters is not an object")
    return parameters


def _requested_outputs(content: dict[str, Any]) -> tuple[list[str], list[bool]]:
    """(names, whether each is requested as binary data); without a list of outputs, all."""
    default = _parameters(content).get("binary_data_output", False)
    outputs = content.get("outputs", [{"name": name} for name in OUTPUTS])
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise bad_request("outputs is not a list of objects")
    names = [output.get("name") for output in outputs]
    if unknown := [name for name in names if name not in OUTPUTS]:
        raise bad_request(f"there is no output {unknown[0]!r}: send some of {list(OUTPUTS)}")
    return names, [bool(_parameters(o).get("binary_data", default)) for o in outputs]


def _write(
    answer: dict[str, Any], scores: Scores, names: list[str], in_binary: list[bool]
) -> Response:
    outputs, binary = [], b""
    for name, as_binary in zip(names, in_binary, strict=True):
        values = getattr(scores, name)
        datatype = "BYTES" if name == "label" else "FP32"
        output = {"name": name, "datatype": datatype, "shape": [len(values)]}
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
    headers = {_JSON_LENGTH: str(len(header))}
    return Response(header + binary, 200, headers, media_type="application/octet-stream")


def _encode(values: np.ndarray | list[str]) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype("<f4").tobytes()
    return b"".join(_LENGTH.pack(len(text)) + text.encode() for text in values)
