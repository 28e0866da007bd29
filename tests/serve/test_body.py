"""A body is received for as long as its sender keeps sending, and counted as long as it is held."""

import asyncio
import itertools
import time

import pytest

from dfjax.serve.body import Body
from dfjax.serve.errors import RequestError
from dfjax.serve.load import Load
from dfjax.serve.settings import Settings

RATE = 20_000  # bytes a second: 4,000 in every fifth of a second


def receive(*sent, length=None, load=None, **limits) -> Body:
    """Receives a body that is sent as (seconds to wait, number of bytes)."""
    settings = Settings(model="", stall_seconds=0.2, min_bytes_per_second=RATE, **limits)
    headers = {} if length is None else {b"content-length": str(length).encode()}
    body = Body(headers, settings, load or Load(max_bytes=10**9))
    chunks = [(0.0, 0), *sent]

    async def next_message():
        if not chunks:
            await asyncio.sleep(30)
        wait, count = chunks.pop(0)
        await asyncio.sleep(wait)
        more = length is None or len(body.data) + count < length
        return {"type": "http.request", "body": bytes(count), "more_body": more}

    asyncio.run(body.receive(next_message))
    return body


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [(0, 190_000)],  # what it sent before buys it no time
        list(itertools.repeat((0.1, 100), 100)),
        list(itertools.repeat((0.1, 1900), 100)),
    ],
)
def test_a_sender_that_turns_slow_is_stopped(sent):
    began = time.monotonic()
    with pytest.raises(RequestError, match="send 20000 bytes a second") as error:
        receive(*sent, length=10**6)
    assert error.value.status == 408
    assert time.monotonic() - began < 5  # a tenth of that, and not the 60 s of a whole body


def test_a_sender_that_is_fast_enough_has_time():
    body = receive(*itertools.repeat((0.05, 4000), 10), length=40_000)
    assert len(body.data) == 40_000
    with pytest.raises(RequestError) as error:
        receive(*itertools.repeat((0.05, 4000), 100), length=400_000, upload_seconds=0.3)
    assert error.value.status == 408


def test_only_a_body_that_says_so_is_small():
    limits = {"small_bytes": 100}
    for length in (None, 100):
        load = Load(max_bytes=1000, reserved_bytes=950)
        with pytest.raises(RequestError, match="too many uploads"):
            receive((0, 60), length=length, load=load, **limits)
    body = receive((0, 60), (0, 39), length=99, load=load, **limits)
    assert load.held_bytes == 99
    body.release()
    assert load.held_bytes == 0
