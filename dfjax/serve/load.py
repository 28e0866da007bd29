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

    def __init__(self, *, max_bytes: int):
        """At most `max_bytes` are held."""
        self.draining, self.num_requests, self.held_bytes = False, 0, 0
        self._max_bytes = max_bytes

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Counts one request for as long as the context lasts."""
        self.num_requests += 1
        try:
            yield
        finally:
            self.num_requests -= 1

    def hold(self, count: int) -> None:
        """Adds `count` bytes, or raises RequestError (429) and adds none."""
        if self.held_bytes + count > self._max_bytes:
            raise errors.overloaded("too many uploads at a time", 5)
        self.held_bytes += count

    def release(self, count: int) -> None:
        """Takes away `count` bytes that were held."""
        self.held_bytes -= count
