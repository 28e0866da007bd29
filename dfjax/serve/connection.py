"""Connections: a deadline for the head of a request, and a limit on their number.

uvicorn waits without end for a head, and so for a client that opens a connection and says nothing.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """uvicorn's connection, which has `head_seconds` to send the head of each request."""

    def __init__(self, *arguments: Any, head_seconds: float, max_connections: int, **others: Any):
        """One of at most `max_connections`; the other arguments are those of uvicorn."""
        super().__init__(*arguments, **others)
        self._head_seconds, self._max_connections = head_seconds, max_connections
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Starts, or closes a connection that is one too many."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self._max_connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Handles what arrived."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Has a deadline while there is no request in progress; more bytes do not put it off."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()
        elif self._deadline is None:
            close = self.timeout_keep_alive_handler
            self._deadline = self.loop.call_later(self._head_seconds, close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
