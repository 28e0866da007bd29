"""TensorFlow Serving's REST API for face crops, as an exported SavedModel answers it.

Signatures: `serving_default` takes encoded pictures (`image_bytes`), `crops` takes pixels (`image`,
uint8 [N, S, S, 3]). Each gives `score`, `logit` and `label`. See
https://www.tensorflow.org/tfx/serving/api_rest
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from dfjax.serve import scoring
from dfjax.serve.model_versions import Version
from dfjax.serve.scoring import INPUT_PICTURES, INPUT_PIXELS, bad_request
from dfjax.serve.service import Scores, Service

router = APIRouter(prefix="/v1/models")

_SIGNATURES = {"serving_default": INPUT_PICTURES, "crops": INPUT_PIXELS}


@router.get("/dfjax")
@router.get("/dfjax/versions/{number}")
async def show_status(request: Request, number: str | None = None) -> JSONResponse:
    """The version that serves."""
    version = request.app.state.service.version(number)
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
    version = request.app.state.service.version(number)
    size = version.detector.spec.size
    inputs = {
        INPUT_PICTURES: _tensor("DT_STRING", -1),
        INPUT_PIXELS: _tensor("DT_UINT8", -1, size, size, 3),
    }
    outputs = {
        "score": _tensor("DT_FLOAT", -1),
        "logit": _tensor("DT_FLOAT", -1),
        "label": _tensor("DT_STRING", -1),
    }
    signatures = {
        name: {
            "inputs": {given: inputs[given]},
            "outputs": outputs,
            "method_name": "tensorflow/serving/predict",
        }
        for name, given in _SIGNATURES.items()
    }
    spec = {"name": "dfjax", "signature_name": "", "version": str(version.number)}
    metadata = {"signature_def": {"signature_def": signatures}}
    return JSONResponse({"model_spec": spec, "metadata": metadata})


@router.post("/dfjax:predict")
@router.post("/dfjax/versions/{number}:predict")
async def predict(request: Request, number: str | None = None) -> JSONResponse:
    """Scores of `instances` (a row each) or `inputs` (a column each)."""
    service: Service = request.app.state.service
    version = service.version(number)
    asked = await asyncio.to_thread(scoring.parse_json, await request.body(), service.settings)
    if ("instances" in asked) == ("inputs" in asked):
        raise bad_request("send either instances or inputs")
    signature = asked.get("signature_name", "serving_default")
    if signature not in _SIGNATURES:
        raise bad_request(f"no such signature: send one of {sorted(_SIGNATURES)}")
    given = _SIGNATURES[signature]
    values = _rows(asked["instances"], given) if "instances" in asked else _column(asked, given)
    crops = await _to_crops(service, version, values, given)
    scores = await service.score(version, crops)
    if "instances" in asked:
        return JSONResponse({"predictions": _as_rows(scores)})
    return JSONResponse({"outputs": _as_columns(scores)})


def _rows(instances: Any, given: str) -> list[Any]:
    """The values of a list of rows: `{"name": value}`, or the value alone."""
    if not isinstance(instances, list) or not instances:
        raise bad_request("instances is no list of at least one row")
    named = [row[given] if isinstance(row, dict) and given in row else row for row in instances]
    return named


def _column(asked: dict[str, Any], given: str) -> list[Any]:
    inputs = asked["inputs"]
    if isinstance(inputs, dict):
        if set(inputs) != {given}:
            raise bad_request(f"inputs are {sorted(inputs)[:5]}: this signature takes {given}")
        inputs = inputs[given]
    if not isinstance(inputs, list) or not inputs:
        raise bad_request("inputs is no list of at least one value")
    return inputs


async def _to_crops(service: Service, version: Version, values: list[Any], given: str):
    if given == INPUT_PIXELS:
        return await asyncio.to_thread(scoring.to_pixels, values, version.detector.spec.size)
    pictures = []
    for value in values:
        if not isinstance(value, dict) or set(value) != {"b64"}:
            raise bad_request('a picture is {"b64": "..."}: base64 of the bytes of its file')
        pictures.append(scoring.to_bytes(value["b64"]))
    return await service.decode_crops(version, pictures)


def _as_columns(scores: Scores) -> dict[str, list[Any]]:
    return {
        "score": scores.score.tolist(),
        "logit": scores.logit.tolist(),
        "label": scores.label,
    }


def _as_rows(scores: Scores) -> list[dict[str, Any]]:
    columns = _as_columns(scores)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _tensor(dtype: str, *shape: int) -> dict[str, Any]:
    dim = [{"size": str(side), "name": ""} for side in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": dim, "unknown_rank": False}, "name": ""}
