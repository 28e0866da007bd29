"""The program of the process that reads a live source for `media.stream`.

First comes a header {"source", "every_frame", "seconds", "number"}. Then every byte asks for a
frame, newer than the last: {"frame", "captured", "received", "shape"} and its pixels, or {"end"} at
the end of a file, or {"error": [code, message]}.
"""

import socket
import sys
import threading
import time
from typing import Any

import numpy as np

from dfjax import console
from dfjax.media import address, one_host, stream_channel, stream_sources
from dfjax.media.errors import MediaError


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

    def take(self) -> tuple[dict[str, Any], np.ndarray | None]:
        """Waits for a frame; returns its header and its pixels, or the last header."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame or self._end)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            received = {"received": self._num_received}
        if frame is None:
            return self._end | received, None
        header, convert = frame
        try:
            image = convert()
        except Exception as error:
            return _failure(error) | received, None
        return header | received | {"shape": image.shape[:2]}, image

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
    """Reads one source for the holder of the other end of descriptor `argv[1]`, until it leaves."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    request = stream_channel.receive(channel)
    newest = _Newest(every_frame=request["every_frame"])
    try:
        frames = _open(request, channel)
    except Exception as error:
        newest.finish(_failure(error))
    else:
        threading.Thread(target=newest.fill, args=[frames], daemon=True).start()
    while channel.recv(1):
        stream_channel.send(channel, *newest.take())


def _open(request: dict[str, Any], channel: socket.socket) -> stream_sources.Frames:
    """Opens the source, and gives up every right that reading it does not need."""
    source = request["source"]
    if address.is_address(source):
        network = stream_sources.NetworkSource(
            source, request["number"], seconds=request["seconds"]
        )
        if one_host.IS_SUPPORTED:
            one_host.hand_over_connects(channel)
        return network.open()
    if source.isdecimal():
        return stream_sources.open_camera(int(source))
    return stream_sources.open_file(source, real_time=not request["every_frame"])


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, MediaError):
        return {"error": [error.code, str(error)]}
    return {"error": ["internal", f"the source cannot be read: {console.one_line(error)[:300]}"]}
