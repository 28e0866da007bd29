"""Messages over a stream socket: the length in eight bytes, then the bytes; arrays one by one.

Neither end believes the other: lengths, types and shapes are bounded before memory is reserved.
"""

import json
import math
import socket
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
# (name, dtype, shape) of each array, announced before their bytes.
Layout = list[tuple[str, str, list[int]]]

MAX_HEADER = 2 * 2**20  # bytes of JSON; parsed, hostile ones take up to thirty times that
_MAX_ARRAYS = 4096  # tensors of a file of weights
_MAX_DIMENSIONS = 8
_DTYPES = ("bool", "uint8", "uint16", "int32", "int64", "float16", "float32", "float64")
_LENGTH = struct.Struct("!Q")


def send(connection: socket.socket, data: bytes | memoryview) -> None:
    """Sends one message; OSError if the other end is gone."""
    connection.sendall(_LENGTH.pack(len(data)))
    connection.sendall(data)


def receive(connection: socket.socket, max_size: int) -> bytearray:
    """Returns the next message.

    Raises:
      EOFError: the other end is gone.
      ValueError: the message is longer than `max_size`.
    """
    (length,) = _LENGTH.unpack(_receive_exactly(connection, _LENGTH.size))
    if length > max_size:
        raise ValueError(f"a message of {length} bytes, more than {max_size}")
    return _receive_exactly(connection, length)


def send_json(connection: socket.socket, value: Mapping[str, Any]) -> None:
    """Sends an object as JSON."""
    send(connection, json.dumps(value).encode())


def receive_json(connection: socket.socket) -> dict[str, Any]:
    """Returns the next message, which has to be a JSON object; raises as `receive`."""
    value = json.loads(receive(connection, MAX_HEADER))
    if not isinstance(value, dict):
        raise ValueError("a message that is not an object")
    return value


def layout_of(arrays: Arrays) -> Layout:
    """Returns what announces these arrays."""
    return [(name, array.dtype.name, list(array.shape)) for name, array in arrays.items()]


def send_arrays(connection: socket.socket, arrays: Arrays) -> None:
    """Sends the bytes of arrays whose layout the other end knows."""
    for array in arrays.values():
        send(connection, np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def receive_arrays(connection: socket.socket, layout: Any, max_bytes: int) -> Arrays:
    """Returns arrays of this layout, which the other end made up; raises as `receive`.

    All of them together have at most `max_bytes`.

    Raises:
      ValueError: the layout is none, or over a limit.
    """
    sizes = _sizes(layout)
    if sum(sizes) > max_bytes:
        raise ValueError(f"arrays of {sum(sizes)} bytes, more than {max_bytes}")
    arrays = {}
    for (name, dtype, shape), size in zip(layout, sizes, strict=True):
        data = receive(connection, size)
        arrays[name] = np.frombuffer(data, dtype).reshape(shape)
    return arrays


def _sizes(layout: Any) -> list[int]:
    """The number of bytes of each array."""
    if not isinstance(layout, list) or len(layout) > _MAX_ARRAYS:
        raise ValueError("a layout that is no list, or too long")
    sizes = []
    for name, dtype, shape in layout:
        if not isinstance(name, str) or dtype not in _DTYPES or len(shape) > _MAX_DIMENSIONS:
            raise ValueError("an array of an unknown kind")
        if not all(type(side) is int and 0 <= side < 2**40 for side in shape):
            raise ValueError("an array of an impossible shape")
        sizes.append(math.prod(shape) * np.dtype(dtype).itemsize)
    return sizes


def _receive_exactly(connection: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view, received = memoryview(data), 0
    while received < count:
        read = connection.recv_into(view[received:])
        if read == 0:
            raise EOFError("the other end is gone")
        received += read
    return data
