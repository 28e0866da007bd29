"""How much a server is working on, and whether it takes more. Knows neither HTTP nor models."""

import contextlib
from collections.abc import Iterator

from dfjax.serve import errors


class Load:
    """Counts requests and the memory of their bodies; used by the event loop alone.

    Attributes:
      draining: the server is stopping and takes nothing new.
      num_requests: requests in progress.
      held_bytes: bodies in memory.
    """

    def __init__(self, *, max_bytes: int, reserved_bytes: int = 0):
        """At most `max_bytes` are held; the last `reserved_bytes` of them are for small bodies."""
        self.draining, self.num_requests, self.held_bytes = False, 0, 0
        self._max_bytes, self._reserved_bytes = max_bytes, reserved_bytes

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Counts one request for as long as the context lasts."""
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1

    def hold(self, count: int, *, small: bool = False) -> None:
        """Adds `count` bytes of a body, or raises RequestError (429) and adds none."""
        most = self._max_bytes if small else self._max_bytes - self._reserved_bytes
        if self.held_bytes + count > most:
            raise errors.overloaded("too many uploads at a time", 5)
        self.held_bytes += count

    def release(self, count: int) -> None:
        """Takes away `count` bytes that were held."""
        self.held_bytes -= count
