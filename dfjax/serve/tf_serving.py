"""Routes of TensorFlow Serving's REST API for face crops, with the signatures of a SavedModel.

Signatures: `serving_default` takes encoded pictures (`image_bytes`), `crops` takes pixels (`image`,
uint8 [N, S, S, 3]). Both return `score`, `logit`, `label` and, of a model with a gate,
`strangeness`. See
https://www.tensorflow.org/tfx/serving/api_rest
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from dfjax.serve import crop_limits, protocols
from dfjax.serve.crop_limits import CropLimits
from dfjax.serve.errors import bad_request
from dfjax.serve.protocols import INPUT_PICTURES, INPUT_PIXELS
from dfjax.serve.service import Scores, Service

router = APIRouter(prefix="/v1/models")

_SIGNATURES = {"serving_default": INPUT_PICTURES, "crops": INPUT_PIXELS}


@router.get("/dfjax")
@router.get("/dfjax/versions/{number}")
async def show_status(request: Request, number: str | None = None) -> JSONResponse:
    """The version that serves."""
    version = request.app.state.service.model_version(number)
    status = {
        "version": str(version.number),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return JSONResponse({"model_version_status": [status]})


@router.get("/dfjax/metadata")
@router.get("/dfjax/versions/{number}/metadata")
async def show_metadata(request: Request, number: str | None = None) -> JSONResponse:
    """The signatures, in the JSON form of TensorFlow's protocol buffers."""
    version = request.app.state.service.model_version(number)
    size = version.detector.crop_spec.size
    inputs = {
        INPUT_PICTURES: _tensor("DT_STRING", -1),
        INPUT_PIXELS: _tensor("DT_UINT8", -1, size, size, 3),
    }
    outputs = {
        name: _tensor("DT_STRING" if name == "label" else "DT_FLOAT", -1)
        for name in protocols.outputs_of(version.detector.scorer.card)
    }
    signatures = {
        name: {
            "inputs": {input_name: inputs[input_name]},
            "outputs": outputs,
            "method_name": "tensorflow/serving/predict",
        }
        for name, input_name in _SIGNATURES.items()
    }
    spec = {"name": "dfjax", "signature_name": "", "version": str(version.number)}
    metadata = {"signature_def": {"signature_def": signatures}}
    return JSONResponse({"model_spec": spec, "metadata": metadata})


@router.post("/dfjax:predict")
@router.post("/dfjax/versions/{number}:predict")
async def predict(request: Request, number: str | None = None) -> JSONResponse:
    """Scores of `instances` (a row each) or `inputs` (a column each)."""
    service: Service = request.app.state.service
    version = service.model_version(number)
    body = await request.body()
    content = await asyncio.to_thread(protocols.parse_json, body, service.settings)
    if ("instances" in content) == ("inputs" in content):
        raise bad_request("send instances or inputs, and not both")
    signature = content.get("signature_name", "")
    if signature == "":
        signature = "serving_default"
    if not isinstance(signature, str) or signature not in _SIGNATURES:
        raise bad_request(f"unknown signature_name: send one of {sorted(_SIGNATURES)}")
    name, in_rows = _SIGNATURES[signature], "instances" in content
    limits = CropLimits(version.detector.crop_spec.size, service.settings.max_crops)
    crops = await asyncio.to_thread(_read_input, content, name, limits)
    if name == INPUT_PICTURES:
        crops = await service.decode_crops(version, crops)
    scores = await service.score(version, crops)
    if in_rows:
        return JSONResponse({"predictions": _as_rows(scores)})
    return JSONResponse({"outputs": _as_columns(scores)})


def _read_input(content: dict[str, Any], name: str, limits: CropLimits) -> Any:
    """Pixels uint8 [N, S, S, 3], or a list of N encoded pictures."""
    in_rows = "instances" in content
    values = content["instances"] if in_rows else _column(content["inputs"], name)
    if not isinstance(values, list):
        raise bad_request("instances or inputs is not a list: send one value per crop")
    limits.check_count(len(values))
    if in_rows:
        values = [row[name] if isinstance(row, dict) and name in row else row for row in values]
    if name == INPUT_PIXELS:
        return crop_limits.from_lists(values, (len(values), limits.size, limits.size, 3))
    return [_picture(value) for value in values]


def _column(inputs: Any, name: str) -> Any:
    """The values of a column: `{name: values}`, or the values alone."""
    if not isinstance(inputs, dict):
        return inputs
    if inputs.keys() != {name}:
        raise bad_request(f"inputs has other names: this signature takes {name} alone")
    return inputs[name]


def _picture(value: Any) -> bytes:
    if not isinstance(value, dict) or value.keys() != {"b64"}:
        raise bad_request('a picture is {"b64": "..."}: base64 of the bytes of its file')
    return protocols.to_bytes(value["b64"])


def _as_columns(scores: Scores) -> dict[str, list[Any]]:
    return {
        name: values if name == "label" else values.tolist()
        for name, values in scores.columns.items()
    }


def _as_rows(scores: Scores) -> list[dict[str, Any]]:
    columns = _as_columns(scores)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _tensor(dtype: str, *shape: int) -> dict[str, Any]:
    dim = [{"size": str(side), "name": ""} for side in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": dim, "unknown_rank": False}, "name": ""}
