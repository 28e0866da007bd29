"""Tasks that try what a hostile file might make a decoder do."""

import ctypes
import os
import pathlib
import socket
import time

import numpy as np

from dfjax.media.errors import MediaError


def echo(arguments, blobs, progress):
    progress(0.5)
    arrays = {f"blob{n}": np.frombuffer(blob, np.uint8) for n, blob in enumerate(blobs)}
    return arguments, {"grid": np.arange(6, dtype=np.float32).reshape(2, 3), **arrays}


def refuse(arguments, *_):
    raise MediaError("corrupt", arguments["message"])


def sleep(arguments, *_):
    time.sleep(arguments["seconds"])
    return {}, {}


def spin(*_):
    while True:
        pass


def hoard(arguments, *_):
    return {"sum": int(np.ones(arguments["bytes"], np.uint8).sum())}, {}


def crash(*_):
    ctypes.string_at(0)


def leave(*_):
    os._exit(3)


def lie(arguments, *_):
    return {}, {"x": {"object": np.array([{}]), "text": np.array(["x"])}[arguments["dtype"]]}


def attempt(what):
    try:
        return str(what())
    except (OSError, RuntimeError) as error:
        return type(error).__name__


def trespass(arguments, *_):
    folder = pathlib.Path(arguments["folder"])
    address = ("127.0.0.1", arguments["port"])
    return {
        "write": attempt(lambda: (folder / "written").write_text("x")),
        "connect": attempt(lambda: socket.create_connection(address, 2)),
        "fork": attempt(lambda: os.fork() or os._exit(0)),
        "descriptors": attempt(lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]),
        "environment": sorted(os.environ),
    }, {}


TASKS = {
    task.__name__: task for task in (echo, refuse, sleep, spin, hoard, crash, leave, lie, trespass)
}
