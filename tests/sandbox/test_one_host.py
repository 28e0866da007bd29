"""A process on the network reaches one host, whatever it tries, and nothing else of the machine."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from dfjax.sandbox import one_host, seccomp

pytestmark = pytest.mark.skipif(not seccomp.available(), reason="needs seccomp")

# Takes the place of a decoder that a stream took over; {...} are its orders.
_PROGRAM = """
import json, os, socket, sys, threading
from dfjax.sandbox import confinement, one_host

channel = socket.socket(fileno=int(sys.argv[1]))
orders = json.loads(sys.argv[2])
if orders["user"] is not None:
    os.setgroups([])
    os.setuid(orders["user"])
confinement.give_up_privileges(network=True)
one_host.hand_over_connects(channel)
confinement.confine(memory=2**31, seconds=None, readable=[], network=True, threads=True)

def attempt(what):
    try:
        return str(what())
    except (OSError, RuntimeError) as error:
        return type(error).__name__

def connect():
    with socket.socket() as connection:
        connection.settimeout(2)
        connection.connect(trap)
        return connection.recv(5).decode()

def unconnected(family, kind):
    return socket.socket(family, kind)

def fast_open():
    with socket.socket() as unconnected:
        return unconnected.sendto(b"x", socket.MSG_FASTOPEN, trap)

def in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(attempt(os.fork)))
    thread.start()
    thread.join()
    return found[0]

trap = tuple(orders["trap"])
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
result = {
    "first connection": attempt(connect),
    "second connection": attempt(connect),
    "datagram": attempt(lambda: datagrams.sendto(b"x", trap)),
    "message": attempt(lambda: datagrams.sendmsg([b"x"], [], 0, trap)),
    "fast open": attempt(fast_open),
    "listening": attempt(lambda: socket.socket().bind(("127.0.0.1", 0))),
    "local socket": attempt(lambda: unconnected(socket.AF_UNIX, socket.SOCK_STREAM)),
    "netlink": attempt(lambda: unconnected(socket.AF_NETLINK, socket.SOCK_RAW)),
    "reading": attempt(lambda: open(orders["file"]).read()),
    "writing": attempt(lambda: open(orders["file"], "w")),
    "truncating": attempt(lambda: os.truncate(orders["file"], 0)),
    "fork in a thread": in_a_thread(),
}
channel.sendall(json.dumps(result).encode())
"""


def answer(listener, greeting, arrivals):
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            arrivals.append(greeting)
            with connection:
                connection.sendall(greeting)


@contextlib.contextmanager
def listening(host, greeting):
    """A listener that greets: (its host and port, the greetings)."""
    arrivals = []
    with socket.create_server((host, 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener, greeting, arrivals))
        thread.start()
        yield listener.getsockname(), arrivals
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("user", [None, 65534])
def test_a_process_reaches_one_host_and_nothing_else(tmp_path, user):
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    file = tmp_path / "file"
    file.write_text("data")
    own, other = socket.socketpair()
    with own, listening("127.0.0.1", b"named") as (named, _):
        with listening("127.0.0.2", b"trap!") as (trap, arrivals):
            orders = {"user": user, "trap": trap, "file": str(file)}
            with other:
                process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, str(other.fileno()), json.dumps(orders)],
                    pass_fds=[other.fileno()],
                )
            connector = one_host.Connector(own, *named, max_connections=1, seconds=2.0)
            result = json.loads(own.recv(10_000))
            assert process.wait() == 0
            connector.join()
        assert arrivals == []
    assert result.pop("first connection") == "named"
    assert set(result.values()) == {"PermissionError"}
    assert file.read_text() == "data"


def test_who_hands_nothing_over_is_not_waited_for():
    own, other = socket.socketpair()
    with own, other:
        other.sendall(b"\0")  # the kernel refused
        with pytest.raises(ConnectionError, match="handed nothing over"):
            one_host.Connector(own, "127.0.0.1", 1, max_connections=1, seconds=1.0)
