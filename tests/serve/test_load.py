"""Requests and the bytes of their bodies are counted, and the bytes are bounded."""

import contextlib

import pytest

from dfjax.serve.errors import RequestError
from dfjax.serve.load import Load


def test_requests_are_counted_while_they_last():
    load = Load(max_bytes=0)
    with load.request():
        with contextlib.suppress(KeyError), load.request():
            assert load.num_requests == 2
            raise KeyError  # a request that fails has ended, too
        assert load.num_requests == 1
    assert load.num_requests == 0


def test_bytes_are_held_up_to_the_limit():
    load = Load(max_bytes=10)
    load.hold(7)
    load.hold(3)
    with pytest.raises(RequestError, match="too many uploads") as error:
        load.hold(1)
    assert (error.value.status, error.value.code, error.value.retry_after) == (429, "overloaded", 5)
    assert load.held_bytes == 10  # what was refused does not count
    load.release(3)
    load.hold(2)
    assert load.held_bytes == 9


def test_small_bodies_have_a_reserve():
    load = Load(max_bytes=10, reserved_bytes=4)
    load.hold(6)
    with pytest.raises(RequestError, match="too many uploads"):
        load.hold(1)
    load.hold(4, small=True)
    with pytest.raises(RequestError, match="too many uploads"):
        load.hold(1, small=True)
    load.release(5)
    load.hold(1)  # 6 of 10
    assert load.held_bytes == 6


def test_a_new_server_takes_work():
    assert not Load(max_bytes=1).draining
