"""A reader of weights that files have taken over: it does what they say."""

import ctypes
import json
import os
import pathlib
import socket

import numpy as np


def _attempt(what):
    try:
        return repr(what())
    except OSError as error:
        return type(error).__name__


def _trespass(port, folder):
    folder = pathlib.Path(folder)
    return {
        "read another": _attempt((folder / "other").read_bytes),
        "write": _attempt(lambda: (folder / "new").write_bytes(b"x")),
        "truncate": _attempt(lambda: os.truncate(folder / "other", 0)),
        "remove": _attempt((folder / "other").unlink),
        "connect": _attempt(lambda: socket.create_connection(("127.0.0.1", port), 2)),
        "fork": _attempt(os.fork),
    }


def read(arguments, *_):
    order = json.loads(pathlib.Path(arguments["path"]).read_text())
    if order == "crash":
        ctypes.string_at(0)
    if order == "end":
        os._exit(3)
    reply = {"format": "npz", "metadata": _trespass(**order)}
    return reply, {"a": np.zeros(1, np.float32)}


def load():
    pass


touch = load


TASKS = {"read": read}
