"""Crops get the scores that the Scorer gives, by both protocols and by Triton's own client."""

import base64
import json

import numpy as np
import pytest
import tritonclient.http

from dfjax.faces import align
from dfjax.inference import scorer
from dfjax.media import image

PREDICT = "/v1/models/dfjax:predict"
INFER = "/v2/models/dfjax/infer"


@pytest.fixture(scope="module")
def local(model):
    return scorer.load(model)


@pytest.fixture(scope="module")
def some(crops):
    return crops[:5]


@pytest.fixture(scope="module")
def want(local, some):
    return local.scores(some)


@pytest.fixture(scope="module")
def encoded(some):
    return [base64.b64encode(image.encode_image(crop, "png")).decode() for crop in some]


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_tensorflow_serving_by_rows(server, local, some, encoded, want):
    rows = [{"b64": text} for text in encoded]
    for instances in (rows, [{"image_bytes": row} for row in rows]):
        answer = server.client.post(PREDICT, json={"instances": instances})
        assert answer.status_code == 200, answer.text
        predictions = answer.json()["predictions"]
        close([row["score"] for row in predictions], want)
        close([row["logit"] for row in predictions], local.logits(some))
        decide = local.card.decision("frame").decide
        labels = [decide(float(score)) for score in want]
        assert [row["label"] for row in predictions] == labels
    content = {"signature_name": "crops", "instances": some.tolist()}
    answer = server.client.post(PREDICT, json=content).json()
    close([row["score"] for row in answer["predictions"]], want)


def test_tensorflow_serving_by_columns(server, local, some, encoded, want):
    column = [{"b64": text} for text in encoded]
    for inputs in (column, {"image_bytes": column}):
        outputs = server.client.post(PREDICT, json={"inputs": inputs}).json()["outputs"]
        close(outputs["score"], want)
        assert set(outputs) == {"score", "logit", "label"}
    content = {"signature_name": "crops", "inputs": {"image": some.tolist()}}
    number = local.card.step
    answer = server.client.post(f"/v1/models/dfjax/versions/{number}:predict", json=content)
    close(answer.json()["outputs"]["score"], want)


def test_tensorflow_serving_describes_itself(server, local):
    status = server.client.get("/v1/models/dfjax").json()["model_version_status"]
    number = str(local.card.step)
    assert [(entry["version"], entry["state"]) for entry in status] == [(number, "AVAILABLE")]
    described = server.client.get("/v1/models/dfjax/metadata").json()
    assert described["model_spec"] == {"name": "dfjax", "signature_name": "", "version": number}
    signatures = described["metadata"]["signature_def"]["signature_def"]
    shape = signatures["crops"]["inputs"]["image"]["tensor_shape"]["dim"]
    assert [side["size"] for side in shape] == ["-1", "40", "40", "3"]


def test_open_inference_in_json(server, some, encoded, want):
    pixels = {"name": "image", "shape": [5, 40, 40, 3], "datatype": "UINT8"}
    pictures = {"name": "image_bytes", "shape": [5], "datatype": "BYTES", "data": encoded}
    pictures["parameters"] = {"content_type": "base64"}
    nested, flat = some.tolist(), some.ravel().tolist()
    for tensor in ({**pixels, "data": nested}, {**pixels, "data": flat}, pictures):
        answer = server.client.post(INFER, json={"id": "42", "inputs": [tensor]}).json()
        assert (answer["id"], answer["model_name"]) == ("42", "dfjax")
        outputs = {output["name"]: output for output in answer["outputs"]}
        assert set(outputs) == {"score", "logit", "label"}
        assert (outputs["score"]["datatype"], outputs["score"]["shape"]) == ("FP32", [5])
        close(outputs["score"]["data"], want)
    content = {"inputs": [pictures], "outputs": [{"name": "score"}]}
    answer = server.client.post(INFER, json=content).json()
    assert [output["name"] for output in answer["outputs"]] == ["score"]
    assert "id" not in answer


def test_open_inference_takes_what_its_references_take(server, encoded, want):
    column = {"name": "image_bytes", "shape": [5, 1], "datatype": "BYTES"}
    for data in (encoded, [[text] for text in encoded]):
        content = {"inputs": [{**column, "data": data}], "outputs": []}
        answer = server.client.post(INFER, json=content).json()
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        assert set(outputs) == {"score", "logit", "label"}
        close(outputs["score"], want)


def test_tensorflow_serving_takes_what_its_reference_takes(server, encoded, want):
    loose = [f"\n{text[:40]}\r\n {text[40:]}\t".replace("=", "") for text in encoded]
    content = {"signature_name": "", "instances": [{"b64": text} for text in loose]}
    answer = server.client.post(PREDICT, json=content).json()
    close([row["score"] for row in answer["predictions"]], want)


def test_a_batch_of_none_is_explained(server):
    none = infer_request(shape=[0, 40, 40, 3], data=[])
    for path, content in ((PREDICT, {"instances": []}), (PREDICT, {"inputs": []}), (INFER, none)):
        answer = server.client.post(path, json=content)
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "there is no crop: send at least one",
        )


@pytest.mark.parametrize("path", ["/", "/metrics", "/v2/health/ready", "/v1/models/dfjax", "/none"])
def test_head_is_get_without_a_body(server, path):
    head, get = server.client.head(path), server.client.get(path)
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.content == b""
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_gets_the_scores(server, local, some, encoded, want, binary):
    client = tritonclient.http.InferenceServerClient(server.url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("dfjax", str(local.card.step))
    assert client.get_model_metadata("dfjax")["inputs"][0]["shape"] == [-1, 40, 40, 3]
    pixels = tritonclient.http.InferInput("image", list(some.shape), "UINT8")
    pixels.set_data_from_numpy(some, binary_data=binary)
    outputs = [
        tritonclient.http.InferRequestedOutput(name, binary_data=binary)
        for name in ("score", "label")
    ]
    answer = client.infer("dfjax", [pixels], outputs=outputs, request_id="7")
    close(answer.as_numpy("score"), want)
    assert answer.get_response()["id"] == "7"
    assert answer.as_numpy("label").shape == (5,)
    close(client.infer("dfjax", [pixels]).as_numpy("score"), want)
    pictures = tritonclient.http.InferInput("image_bytes", [5], "BYTES")
    files = [base64.b64decode(text) for text in encoded]
    pictures.set_data_from_numpy(np.array(files, dtype=object), binary_data=True)
    close(client.infer("dfjax", [pictures]).as_numpy("score"), want)


def test_a_picture_of_another_size_is_stretched_as_in_training(server, local):
    large = np.random.default_rng(3).integers(0, 256, (90, 61, 3), np.uint8)
    crop = align.resize_crop(large, local.card.crop_spec).image
    text = base64.b64encode(image.encode_image(large, "png")).decode()
    answer = server.client.post(PREDICT, json={"instances": [{"b64": text}]}).json()
    close(answer["predictions"][0]["score"], local.scores(crop[None])[0])


def infer_request(**changes):
    tensor = {"name": "image", "shape": [1, 40, 40, 3], "datatype": "UINT8"}
    return {"inputs": [{**tensor, "data": [0] * 4800, **changes}]}


BAD_INFER = {
    "another_shape": infer_request(shape=[1, 32, 32, 3]),
    "no_crop": infer_request(shape=[0, 40, 40, 3], data=[]),
    "too_few_numbers": infer_request(data=[0] * 4799),
    "floats": infer_request(data=[0.5] * 4800),
    "another_type": infer_request(datatype="FP32", data=[0.5] * 4800),
    "too_large_numbers": infer_request(data=[256] * 4800),
    "booleans": infer_request(data=[True] * 4800),
    "ragged": infer_request(data=[[0], [0, 0]]),
    "a_huge_shape": infer_request(shape=[2**40, 40, 40, 3]),
    "a_shape_of_strings": infer_request(shape=["1"]),
    "binary_size_without_binary": infer_request(parameters={"binary_data_size": 5}),
    "unknown_input": infer_request(name="other"),
    "no_inputs": {"inputs": []},
    "no_base64": {
        "inputs": [{"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": ["?"]}]
    },
    "unknown_output": {**infer_request(), "outputs": [{"name": "x"}]},
}


@pytest.mark.parametrize("name", BAD_INFER)
def test_open_inference_refuses(server, name):
    answer = server.client.post(INFER, json=BAD_INFER[name])
    assert answer.status_code == 400, answer.text
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"inputs": NaN}',
        b'{"instances": [[[[1, 2, Infinity]]]]}',
        b'{"instances": [{"b64": "?"}]}',
        b'{"instances": []}',
        b'{"instances": [1], "inputs": [1]}',
        b'{"signature_name": "crops", "instances": [[[[1e999, 0, 0]]]]}',
        b'{"signature_name": "other", "instances": [1]}',
        b'{"inputs": {"image": [1]}}',
        b'{"instances": ' + 100_000 * b"[",
        b'{"signature_name": "crops", "instances": [' + 5000 * b"1" + b"]}",
        b"\xff\xfe",
    ],
)
def test_malformed_requests_are_refused_by_both(server, body):
    for path in (PREDICT, INFER):
        answer = server.client.post(path, content=body)
        assert answer.status_code == 400, answer.text
        assert isinstance(answer.json()["error"], str)
        assert len(answer.text) < 1000


def test_json_that_would_block_the_server_is_not_parsed(server):
    many = b'{"instances": [' + b"[]," * 2**20 + b"[], []]}"
    for body in (many, b'{"instances": "' + bytes(16 * 2**20) + b'"}'):
        for path in (PREDICT, INFER):
            assert server.client.post(path, content=body).status_code == 413


def test_broken_binary_data_are_refused(server):
    tensor = {"name": "image_bytes", "shape": [1], "datatype": "BYTES"}
    for tail in (b"\x05\x00\x00\x00abc", b"\x05\x00", b"\x00\x00\x00\x00" * 2):
        tensor["parameters"] = {"binary_data_size": len(tail)}
        head = json.dumps({"inputs": [tensor]}).encode()
        for length in (len(head), len(head) + 99, "x"):
            answer = server.client.post(
                INFER,
                content=head + tail,
                headers={"Inference-Header-Content-Length": str(length)},
            )
            assert answer.status_code == 400, answer.text


def test_broken_pictures_are_named(server, encoded):
    broken = base64.b64encode(b"GIF89a").decode()
    rows = [{"b64": encoded[0]}, {"b64": broken}]
    answer = server.client.post(PREDICT, json={"instances": rows})
    assert answer.status_code in (415, 422)
    assert answer.json()["error"].startswith("picture 1: ")


def test_other_versions_and_models_are_not_found(server, encoded):
    for path in ("/v1/models/dfjax/versions/99", "/v2/models/dfjax/versions/99", "/v2/models/x"):
        assert server.client.get(path).status_code == 404
    content = {"instances": [{"b64": encoded[0]}]}
    answer = server.client.post("/v1/models/dfjax/versions/99:predict", json=content)
    assert answer.status_code == 404
    assert "99" in answer.json()["error"]


def test_more_crops_than_may_wait_are_too_large(server):
    crops = np.zeros((65, 40, 40, 3), np.uint8)
    client = tritonclient.http.InferenceServerClient(server.url.removeprefix("http://"))
    pixels = tritonclient.http.InferInput("image", list(crops.shape), "UINT8")
    pixels.set_data_from_numpy(crops)
    with pytest.raises(tritonclient.utils.InferenceServerException, match="send 64 at a time"):
        client.infer("dfjax", [pixels])
