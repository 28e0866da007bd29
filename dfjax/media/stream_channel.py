"""Messages between a live source and the process that reads it: a line of JSON, and pixels.

The process may have been taken over by what it read: what it sends is bounded, and nothing but
numbers and text.
"""

import json
import socket
import struct
from typing import Any

import numpy as np

_SIZE = struct.Struct("<I")
_MAX_HEADER = 2**16  # bytes


def send(channel: socket.socket, header: dict[str, Any], pixels: np.ndarray | None = None) -> None:
    """Sends a header, and contiguous pixels after it."""
    text = json.dumps(header).encode()
    channel.sendall(_SIZE.pack(len(text)) + text)
    if pixels is not None:
        channel.sendall(pixels.data.cast("B"))


def receive(channel: socket.socket) -> dict[str, Any]:
    """Returns the next header.

    Raises:
      OSError: the other end is gone (EOFError) or silent (TimeoutError).
      ValueError: it is no header.
    """
    size = _SIZE.unpack(_receive_bytes(channel, _SIZE.size))[0]
    if size > _MAX_HEADER:
        raise ValueError(f"a header of {size} bytes")
    header = json.loads(_receive_bytes(channel, size))
    if not isinstance(header, dict):
        raise ValueError("a header that is no object")
    return header


def receive_pixels(channel: socket.socket, height: int, width: int) -> np.ndarray:
    """Returns the pixels that follow a header, RGB uint8 [H, W, 3]."""
    pixels = np.empty((height, width, 3), np.uint8)
    _receive_into(channel, memoryview(pixels).cast("B"))
    return pixels


def _receive_bytes(channel: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    _receive_into(channel, memoryview(data))
    return bytes(data)


def _receive_into(channel: socket.socket, target: memoryview) -> None:
    while target:
        received = channel.recv_into(target)
        if not received:
            raise ConnectionError("the other end is gone")
        target = target[received:]
