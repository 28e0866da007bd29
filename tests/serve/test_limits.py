"""Bodies that are too long, too slow, too many or abandoned cost little and harm no others."""

import concurrent.futures
import json
import select
import socket
import time

import numpy as np
import pytest

MOST = 200_000
INFER = "/v2/models/dfjax/infer"


@pytest.fixture(scope="module")
def strict(start, model):
    settings = {"max_body_bytes": MOST, "max_total_bytes": 500_000, "upload_seconds": 1.0}
    with start(model, slow=0.5, **settings) as server:
        yield server


def stalled(server, length, sent):
    """A connection that promises `length` bytes, and has sent fewer."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + bytes(sent))
    return connection


def status_of(connection) -> int:
    with connection:
        return int(connection.recv(4096).split()[1])


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_long_body_is_refused_before_it_is_sent(strict):
    assert status_of(stalled(strict, MOST + 1, 0)) == 413


def test_a_body_without_a_length_is_counted(strict):
    def chunks():
        for _ in range(1000):
            yield bytes(1000)

    answer = strict.client.post("/v1/detect", content=chunks())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_an_encoded_body_is_refused(strict):
    headers = {"content-encoding": "gzip"}
    assert strict.client.post(INFER, content=b"x", headers=headers).status_code == 415


def test_stalled_uploads_end_and_harm_no_other_request(strict):
    connections = [stalled(strict, 1000, 10) for _ in range(50)]
    assert strict.client.get("/v2/health/ready").status_code == 200
    assert strict.client.post("/v1/detect", content=b"x").status_code == 415
    assert {status_of(connection) for connection in connections} == {408}


def test_all_bodies_together_are_bounded(strict):
    waiting = [stalled(strict, MOST, 180_000) for _ in range(2)]
    until(lambda: strict.metric("dfjax_held_bytes") == 360_000)
    answer = strict.client.post("/v1/detect", content=bytes(180_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert [status_of(connection) for connection in waiting] == [408, 408]
    until(lambda: strict.metric("dfjax_held_bytes") == 0)


def test_stalled_videos_leave_room_for_a_picture(start, model, picture):
    settings = {"max_total_bytes": 4 * MOST, "max_body_bytes": MOST, "small_bytes": 100_000}
    settings["stall_seconds"] = 30.0
    with start(model, **settings) as server:
        waiting = [stalled(server, MOST, MOST - 10) for _ in range(4)]
        until(lambda: server.metric("dfjax_held_bytes") > MOST)
        answer = server.client.post("/v1/detect", files={"file": ("a.png", picture)})
        assert answer.status_code == 200, answer.text
        refused, _, _ = select.select(waiting, [], [], 0)
        assert {status_of(connection) for connection in refused} == {429}
        for connection in waiting:
            connection.close()


def request_of(crops: np.ndarray) -> bytes:
    tensor = {"name": "image", "shape": list(crops.shape), "datatype": "UINT8"}
    tensor["parameters"] = {"binary_data_size": crops.size}
    head = json.dumps({"inputs": [tensor]}).encode()
    lines = [
        f"POST {INFER} HTTP/1.1",
        "Host: localhost",
        f"Inference-Header-Content-Length: {len(head)}",
        f"Content-Length: {len(head) + crops.size}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + head + crops.tobytes()


def test_a_client_that_hangs_up_leaves_the_queue(strict):
    crops = np.zeros((32, 40, 40, 3), np.uint8)
    connections = []
    for _ in range(3):
        connections.append(socket.create_connection(("127.0.0.1", strict.port)))
        connections[-1].sendall(request_of(crops))
    until(lambda: strict.metric("dfjax_queue_crops") == 64)
    scored = strict.metric("dfjax_batch_crops_sum")
    for connection in connections:
        connection.close()
    until(lambda: strict.metric("dfjax_queue_crops") == 0)
    lines = strict.client.get("/metrics").text.splitlines()
    assert [line for line in lines if 'status="499"' in line and line.endswith(" 3.0")]
    assert strict.metric("dfjax_batch_crops_sum") == scored


def test_a_full_queue_answers_at_once_when_to_try_again(start, model):
    crops = np.zeros((1, 40, 40, 3), np.uint8)
    body = request_of(crops).split(b"\r\n\r\n", 1)[1]
    headers = {"Inference-Header-Content-Length": str(len(body) - crops.size)}
    with start(model, slow=0.5, max_batch=2, max_crops=4) as server:

        def ask(number):
            time.sleep(number * 0.05)
            began = time.monotonic()
            answer = server.client.post(INFER, content=body, headers=headers)
            return answer, time.monotonic() - began

        with concurrent.futures.ThreadPoolExecutor(60) as threads:
            answers = list(threads.map(ask, range(60)))
        refused = [(answer, took) for answer, took in answers if answer.status_code == 429]
        served = [took for answer, took in answers if answer.status_code == 200]
        assert len(refused) + len(served) == 60
        # Three seconds of four crops a second, of which two are scored at a time.
        assert 8 <= len(served) <= 30
        assert all(int(answer.headers["retry-after"]) >= 1 for answer, _ in refused)
        assert np.median([took for _, took in refused]) < np.median(served) / 2
        assert server.client.post(INFER, content=body, headers=headers).status_code == 200
