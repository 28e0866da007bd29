"""Tasks that try what a hostile file might make a decoder do."""

import ctypes
import os
import signal
import time

import numpy as np

from dfjax.media.errors import MediaError
from dfjax.sandbox import messages

_memory = {}


def load():
    pass


touch = load


def echo(arguments, blobs, caller):
    caller.progress(0.5)
    arrays = {f"blob{n}": np.frombuffer(blob, np.uint8) for n, blob in enumerate(blobs)}
    return arguments, {"grid": np.arange(6, dtype=np.float32).reshape(2, 3), **arrays}


def ask(arguments, blobs, caller):
    return {"answer": caller.ask(np.arange(6.0).reshape(2, 3)).tolist()}, {}


def identify(*_):
    return {"pid": os.getpid()}, {}


def remember(arguments, *_):
    _memory.update(arguments)
    return {}, {}


def recall(*_):
    return dict(_memory), {}


def refuse(arguments, *_):
    raise MediaError("corrupt", arguments["message"])


def sleep(arguments, *_):
    time.sleep(arguments["seconds"])
    return {}, {}


def spin(*_):
    while True:
        pass


def hang(*_):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    spin()


def hoard(arguments, *_):
    return {"sum": int(np.ones(arguments["bytes"], np.uint8).sum())}, {}


def crash(*_):
    ctypes.string_at(0)


def leave(*_):
    os._exit(3)


def say(arguments, blobs, caller):
    messages.send(caller._connection, blobs[0])
    time.sleep(60)


def boast(arguments, blobs, caller):
    caller._connection.sendall(messages._LENGTH.pack(2**40))
    time.sleep(60)


def log(arguments, *_):
    os.write(2, arguments["text"].encode())  # what does not fit into the pipe is lost
    return {}, {}


TASKS = {
    task.__name__: task
    for task in (
        *(echo, ask, identify, remember, recall, refuse, sleep, spin, hang, hoard, crash, leave),
        *(say, boast, log),
    )
}
