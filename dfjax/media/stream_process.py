"""The program of the process that reads a live source for `media.stream`.

First comes a header {"source", "every_frame", "seconds", "number", "parent"}. If it has a number,
the right to connect goes back (`sandbox.one_host`). Then every byte asks for a frame, newer than
the last: {"frame", "captured", "received", "size"}, with the pixels in memory that both share, or
{"end"} at the end of a file, or {"error": [code, message]}.
"""

import mmap
import socket
import sys
import threading
import time
from typing import Any

import numpy as np

from dfjax import console
from dfjax.media import address, stream_sources
from dfjax.media.errors import MediaError
from dfjax.sandbox import confinement, messages, one_host

_MEMORY = 2 * 2**30  # bytes of address space: 0.4 GiB are libraries


class _Newest:
    """Hands the newest frame from the thread that decodes to the one that sends."""

    def __init__(self, *, every_frame: bool):
        self._every_frame = every_frame
        self._changed = threading.Condition()
        self._frame: tuple[dict[str, Any], Any] | None = None
        self._end: dict[str, Any] | None = None
        self._num_received = 0

    def fill(self, frames: stream_sources.Frames) -> None:
        """Takes frames until they end; with `every_frame`, waits until each was taken."""
        try:
            for convert in frames:
                self._put(convert, time.monotonic())
            self.finish({"end": True})
        except Exception as error:
            self.finish(_failure(error))

    def take(self, pixels: np.ndarray) -> dict[str, Any]:
        """Waits for a frame; puts it into `pixels` and returns its header, or the last header."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame or self._end)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            received = {"received": self._num_received}
        if frame is None:
            return self._end | received
        header, convert = frame
        try:
            image = convert()
            pixels[: image.size] = image.reshape(-1)
        except Exception as error:
            return _failure(error) | received
        return header | received | {"size": image.shape[:2]}

    def _put(self, convert: Any, captured: float) -> None:
        with self._changed:
            if self._every_frame:
                self._changed.wait_for(lambda: self._frame is None)
            self._frame = ({"frame": self._num_received, "captured": captured}, convert)
            self._num_received += 1
            self._changed.notify_all()

    def finish(self, header: dict[str, Any]) -> None:
        """Makes `header` the answer once the last frame was taken."""
        with self._changed:
            self._end = header
            self._changed.notify_all()


def serve() -> None:
    """Reads one source for the holder of the other end of descriptor `argv[1]`, until it leaves.

    `argv[2]` is the descriptor of memory for a frame.
    """
    descriptor, memory = map(int, sys.argv[1:])
    channel = socket.socket(fileno=descriptor)
    pixels = np.frombuffer(mmap.mmap(memory, 0), np.uint8)
    request = messages.receive_json(channel)
    confinement.die_with(request["parent"])
    newest = _Newest(every_frame=request["every_frame"])
    try:
        frames = _open(request, channel)
    except Exception as error:
        newest.finish(_failure(error))
    else:
        threading.Thread(target=newest.fill, args=[frames], daemon=True).start()
    while channel.recv(1):
        messages.send_json(channel, newest.take(pixels))


def _open(request: dict[str, Any], channel: socket.socket) -> stream_sources.Frames:
    """Opens the source, after giving up every right that reading it does not need."""
    source = request["source"]
    if address.is_address(source):
        return _open_address(source, request["number"], request["seconds"], channel)
    if source.isdecimal():  # a driver needs many rights, and is as trusted as the camera
        confinement.give_up_privileges()
        return stream_sources.open_camera(int(source))
    confinement.give_up_privileges()
    confinement.confine(memory=_MEMORY, seconds=None, readable=[source], threads=True)
    return stream_sources.open_file(source, real_time=not request["every_frame"])


def _open_address(
    source: str, number: str | None, seconds: float, channel: socket.socket
) -> stream_sources.Frames:
    confinement.give_up_privileges(network=True)
    if number is not None:
        one_host.hand_over_connects(channel)
    network = stream_sources.NetworkSource(source, number, seconds=seconds)  # reads certificates
    confinement.confine(memory=_MEMORY, seconds=None, readable=[], network=True, threads=True)
    return network.open()


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, MediaError):
        return {"error": [error.code, str(error)]}
    return {"error": ["internal", f"the source cannot be read: {console.one_line(error)[:300]}"]}
