"""Requests made to hurt cost a server little memory, little time, and no other request.

Every limit is ten times what was measured.
"""

import contextlib
import json
import os
import pathlib
import random
import threading
import time

import httpx
import pytest

PREDICT = "/v1/models/dfjax:predict"
INFER = "/v2/models/dfjax/infer"
LENGTH = "Inference-Header-Content-Length"
CROP = {"name": "image", "shape": [1, 40, 40, 3], "datatype": "UINT8", "data": [0] * 4800}


@pytest.fixture(autouse=True)
def _no_traceback(server):
    before = server.log.count("Traceback")
    yield
    assert server.log.count("Traceback") == before


class Watch:
    """What a server uses while it is watched.

    Attributes:
      growth: bytes of memory above those at the start, at most.
      gap: seconds of the slowest health check.
      cpu: seconds of CPU time.
    """

    def __init__(self, server):
        self._url, self._process = server.url, pathlib.Path(f"/proc/{server.process.pid}")
        self.growth, self.gap, self.cpu = 0, 0.0, -self._cpu()
        self._start, self._stop = self._memory(), threading.Event()

    def _memory(self) -> int:
        return int((self._process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def _cpu(self) -> float:
        fields = (self._process / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _watch_memory(self):
        while not self._stop.wait(0.005):
            self.growth = max(self.growth, self._memory() - self._start)

    def _watch_health(self):
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stop.wait(0.02):
                began = time.monotonic()
                assert client.get("/v2/health/live").status_code == 200
                self.gap = max(self.gap, time.monotonic() - began)

    @contextlib.contextmanager
    def running(self):
        threads = [threading.Thread(target=t) for t in (self._watch_memory, self._watch_health)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self.cpu += self._cpu()


def infer_body(**changes) -> bytes:
    return json.dumps({"inputs": [{**CROP, **changes}]}).encode()


@pytest.mark.parametrize("count", [5, 64, 70, 10**6])
@pytest.mark.parametrize("size", [2**31 - 1, 0])
@pytest.mark.parametrize("binary", [False, True])
def test_a_shape_of_many_sizes_costs_nothing(server, count, size, binary):
    body, headers = infer_body(shape=[size] * count, data=[0]), {}
    if binary:
        body = infer_body(shape=[size] * count, parameters={"binary_data_size": 1})
        body, headers = body + b"x", {LENGTH: str(len(body))}
    with Watch(server).running() as watch:
        began = time.monotonic()
        answer = server.client.post(INFER, content=body, headers=headers)
        took = time.monotonic() - began
    assert answer.status_code == 400
    assert len(answer.text) < 500
    assert took < 1.0
    assert watch.gap < 2.0


@pytest.mark.parametrize("count", [5_000, 100_000])
def test_strings_among_pixels_take_no_memory(server, count):
    strings = ["a" * 50_000] + [""] * (count - 1)
    flat = [{"name": "image", "shape": [1, 40, 40, 3], "datatype": "UINT8", "data": strings}]
    nested = {"signature_name": "crops", "instances": strings[:64]}
    bodies = [(INFER, {"inputs": flat}), (PREDICT, nested)]
    bodies.append((PREDICT, {"signature_name": "crops", "instances": [strings]}))
    for path, content in bodies:
        with Watch(server).running() as watch:
            answer = server.client.post(path, json=content)
        assert answer.status_code == 400
        assert len(answer.text) < 500
        assert watch.growth < 50e6
        assert watch.gap < 2.0


def test_elements_are_counted_up_to_the_shape_alone(server):
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}
    tail = bytes(40 * 2**20)  # ten million empty elements
    tensor["parameters"] = {"binary_data_size": len(tail)}
    head = json.dumps({"inputs": [tensor]}).encode()
    with Watch(server).running() as watch:
        headers = {LENGTH: str(len(head))}
        answer = server.client.post(INFER, content=head + tail, headers=headers)
    assert answer.status_code == 400
    assert watch.cpu < 3.0


def changed(content, **changes):
    return {**content, **changes}


GOOD = {"inputs": [CROP]}
ROWS = {"signature_name": "crops", "instances": [1]}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        *((INFER, changed(GOOD, id=value)) for value in ([], {}, 7, None, True, "\ud800")),
        (INFER, changed(GOOD, id="a" * 257)),
        (INFER, changed(GOOD, id=[[["a"]]])),
        *(
            (INFER, {"inputs": [changed(CROP, name=value)]})
            for value in ([], {}, None, "a" * 10**6)
        ),
        *((INFER, {"inputs": [changed(CROP, datatype=value)]}) for value in ([], {}, "a" * 10**6)),
        (INFER, changed(GOOD, outputs=[{"name": "a" * 10**6}])),
        (INFER, changed(GOOD, outputs=[{"name": []}])),
        (INFER, changed(GOOD, outputs=[{"name": "score"}] * 4)),
        (INFER, {"inputs": [changed(CROP, parameters={"binary_data_size": "a" * 10**6})]}),
        *((PREDICT, changed(ROWS, signature_name=value)) for value in ([], {}, 7, "a" * 10**6)),
        (PREDICT, {"inputs": {"a" * 10**6: [1], "b": [1]}}),
    ],
)
def test_a_client_error_is_400_and_echoes_nothing(server, path, content):
    answer = server.client.post(path, content=json.dumps(content).encode())
    assert answer.status_code == 400, answer.text[:300]
    assert len(answer.text) < 500


def test_lengths_and_methods_of_thousands_of_letters_are_refused(server):
    answer = server.client.post(INFER, content=infer_body(), headers={LENGTH: "1" * 5000})
    assert (answer.status_code, len(answer.text) < 500) == (400, True)
    answer = server.client.request("A" * 5000, "/v1/detect")
    assert (answer.status_code, len(answer.text) < 500) == (405, True)
    answer = server.client.post(INFER, content=b'{"id": 1e999, ' + infer_body()[1:])
    assert "not JSON: a number is too large" in answer.json()["error"]


def test_an_id_comes_back(server):
    for text in ("", "é" * 256, "\U0001f600"):
        answer = server.client.post(INFER, json=changed(GOOD, id=text))
        assert (answer.status_code, answer.json()["id"]) == (200, text)


STRANGE = (
    *(None, True, False, 0, -1, 1.5, 1e300, float("inf"), 2**31, 2**64, 10**400),
    *("", "a", "\ud800", [], {}, [[]], [{}], {"b64": ""}, {"name": []}, "image", "score"),
)
MOST = 300_000  # bytes that a repetition may add


def replace(rng, value):
    return rng.choice(STRANGE)


def repeat(rng, value):
    times = min(10 ** rng.randrange(7), 1 + MOST // len(json.dumps(value)))
    return (value if isinstance(value, list | str) else [value]) * times


def nest(rng, value):
    for _ in range(10 ** rng.randrange(3)):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def mutate(rng, value):
    """The value with one of its parts changed: its type, its length or its depth."""
    if isinstance(value, dict | list) and value and rng.random() < 0.8:
        value = value.copy()
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value[key] = mutate(rng, value[key])
        return value
    return rng.choice((replace, repeat, nest))(rng, value)


@pytest.mark.parametrize("num_bodies", [150, pytest.param(5_000, marks=pytest.mark.long)])
def test_no_mutation_of_a_request_breaks_the_server(server, num_bodies):
    rng = random.Random(0)
    pictures = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "data": ["aGk="]}
    outputs = [{"name": "score", "parameters": {"binary_data": True}}]
    whole = {"id": "1", "parameters": {"binary_data_output": False}, "outputs": outputs}
    seeds = [
        (PREDICT, {"signature_name": "serving_default", "instances": [{"b64": "aGk="}]}),
        (PREDICT, {"signature_name": "crops", "inputs": {"image": [[[[0, 0, 0]] * 40] * 40]}}),
        (INFER, {**whole, "inputs": [{**CROP, "parameters": {"binary_data_size": 4800}}]}),
        (INFER, {**whole, "inputs": [CROP]}),
        (INFER, {**whole, "inputs": [pictures]}),
    ]
    restarts = server.metric("dfjax_worker_restarts_total")
    with Watch(server).running() as watch:
        for number in range(num_bodies):
            path, content = seeds[number % len(seeds)]
            for _ in range(rng.randrange(1, 4)):
                content = mutate(rng, content)
            body, headers = json.dumps(content).encode(), {}
            if "4800" in str(content):
                body, headers = body + bytes(4800), {LENGTH: str(len(body))}
            answer = server.client.post(path, content=body, headers=headers)
            assert answer.status_code < 500, (answer.text, body[:300])
            assert len(answer.text) < 2000, body[:300]
    assert server.metric("dfjax_worker_restarts_total") == restarts
    assert watch.growth < 200e6
    assert watch.cpu < 0.04 * num_bodies
    assert watch.gap < 2.0
