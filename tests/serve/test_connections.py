"""Connections that send no request end soon; those that send one have the time that it takes."""

import contextlib
import socket
import time

import pytest

from tests.serve.test_limits import request_of, status_of, until

GET = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD_SECONDS = 0.5


@pytest.fixture(scope="module")
def impatient(start, model):
    with start(model, slow=1.5, head_seconds=HEAD_SECONDS, max_connections=8) as server:
        yield server


@contextlib.contextmanager
def connected(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        yield connection


def seconds_until_closed(connection, trickle=b"") -> float:
    """Sends a trickle, a byte at a time, until the server closes the connection."""
    began, connection_is_open = time.monotonic(), True
    connection.settimeout(0.05)
    while connection_is_open:
        assert time.monotonic() - began < 20
        try:
            connection.sendall(trickle[:1])
            trickle = trickle[1:]
            connection_is_open = connection.recv(4096) != b""
        except TimeoutError:
            pass
        except ConnectionError:
            connection_is_open = False
    return time.monotonic() - began


@pytest.mark.parametrize("first", [b"", GET, GET + GET])
@pytest.mark.parametrize("trickle", [b"", GET[:20], b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100])
def test_a_connection_without_a_request_ends(impatient, first, trickle):
    with connected(impatient) as connection:
        connection.sendall(first)
        answer = b""
        while answer.count(b"}") < first.count(b"GET"):
            answer += connection.recv(4096)
        took = seconds_until_closed(connection, trickle)
        # An idle one that had an answer is kept for the 5 s of uvicorn: a client may ask again.
        assert took < (5 if trickle or not first else 15)
        assert took > HEAD_SECONDS - 0.2


def test_a_slow_body_and_a_slow_answer_have_their_time(impatient, crops):
    request = request_of(crops[:1])
    with connected(impatient) as connection:
        connection.sendall(request[:-100])
        time.sleep(2 * HEAD_SECONDS)
        connection.sendall(request[-100:])  # and its answer takes three times the limit
        assert status_of(connection) == 200


def test_connections_are_counted(impatient):
    impatient.client.close()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(impatient)) for _ in range(8)]
        with connected(impatient) as one_too_many, contextlib.suppress(ConnectionError):
            assert one_too_many.recv(1) == b""
        assert {seconds_until_closed(connection) < 5 for connection in silent} == {True}

    def answers():
        with connected(impatient) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(GET)
            return b" 200 OK" in connection.recv(4096)

    until(answers)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_request_of_two_lengths_hides_no_other(server, method):
    lines = [f"{method} /v1/detect HTTP/1.1", "Host: localhost", "Content-Length: 5"]
    head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", "0", "", ""])
    with connected(server) as connection:
        connection.sendall(head.encode() + GET)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(4096):
                answer += part
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
