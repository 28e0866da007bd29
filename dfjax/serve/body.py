"""The body of a request: bounded in length, in memory together with all others, and in time."""

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from dfjax.serve.errors import RequestError
from dfjax.serve.load import Load
from dfjax.serve.settings import Settings


class ClientGoneError(Exception):
    """The client disconnected."""


class Body:
    """What has arrived of one body.

    Attributes:
      data: the bytes.
    """

    def __init__(self, headers: Mapping[bytes, bytes], settings: Settings, load: Load):
        """`load` counts the bytes until `release`."""
        self.data = bytearray()
        self._headers, self._settings, self._load = headers, settings, load
        length = headers.get(b"content-length")  # digits, or the request would not be here
        self._length = None if length is None else int(length)

    async def receive(self, receive: Receive) -> None:
        """Fills `data`.

        Raises:
          RequestError: too long (413), too slow (408), encoded (415), or no room for it (429).
          ClientGoneError: the client disconnected.
        """
        if self._headers.get(b"content-encoding", b"identity") != b"identity":
            raise RequestError(415, "unsupported", "send the body without Content-Encoding")
        self._check_length(self._length or 0)
        try:
            async with asyncio.timeout(None) as timeout:
                await self._receive_all(receive, timeout)
        except TimeoutError:
            rate, seconds = self._settings.min_bytes_per_second, self._settings.upload_seconds
            message = f"the body is too slow: send {rate} bytes a second, all within {seconds:g} s"
            raise RequestError(408, "upload_time", message) from None

    def release(self) -> None:
        """Gives its memory back to `load`."""
        self._load.release(len(self.data))

    async def _receive_all(self, receive: Receive, timeout: asyncio.Timeout) -> None:
        settings, clock = self._settings, asyncio.get_running_loop().time
        end, due, more = clock() + settings.upload_seconds, 0, True
        while more:
            if len(self.data) >= due:
                due = len(self.data) + settings.stall_seconds * settings.min_bytes_per_second
                timeout.reschedule(min(end, clock() + settings.stall_seconds))
            more = await self._receive_some(receive)

    async def _receive_some(self, receive: Receive) -> bool:
        """Adds what has arrived; returns whether there is more to come."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        self._check_length(len(self.data) + len(chunk))
        small = self._length is not None and self._length < self._settings.small_bytes
        self._load.hold(len(chunk), small=small)
        self.data += chunk
        return message.get("more_body", False)

    def _check_length(self, length: int) -> None:
        most = self._settings.max_body_bytes
        if length > most:
            raise RequestError(413, "too_large", f"the body is over {most} bytes: send less")
