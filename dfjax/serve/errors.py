"""Errors of a request: HTTP status, stable code, message."""

import logging

from dfjax.media.errors import MediaError
from dfjax.sandbox.errors import TimeLimitError, WorkerError

_log = logging.getLogger(__name__)

_STATUS_OF_MEDIA = {"too_large": 413, "unsupported": 415}  # the others: 422


class RequestError(Exception):
    """Ends a request.

    Attributes:
      status: of HTTP.
      code: a word for programs; it never changes its meaning.
      retry_after: seconds after which the request may succeed; None: it will not.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None):
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after


def bad_request(message: str) -> RequestError:
    """Returns the error for a request that does not follow its protocol."""
    return RequestError(400, "bad_request", message)


def overloaded(reason: str, retry_after: int) -> RequestError:
    """Returns the error for a queue that is full."""
    message = f"{reason}: try again in {retry_after} s"
    return RequestError(429, "overloaded", message, retry_after=retry_after)


def draining() -> RequestError:
    """Returns the error of a server that is stopping."""
    return RequestError(503, "draining", "the server is stopping: try again", retry_after=1)


def from_exception(error: Exception) -> RequestError:
    """Returns what the client may learn of `error`: nothing, where it is unexpected."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, MediaError) and error.code == "internal":  # its message is for the log
        _log.error("a file uncovered a fault: %s", error)
        return RequestError(422, "internal", "the file cannot be analyzed: encode it again")
    if isinstance(error, MediaError):
        return RequestError(_STATUS_OF_MEDIA.get(error.code, 422), error.code, str(error))
    if isinstance(error, TimeLimitError | TimeoutError):
        return RequestError(504, "time_limit", str(error) or "it took too long: send less at once")
    if isinstance(error, WorkerError):
        return RequestError(503, "worker_died", str(error), retry_after=1)
    return RequestError(500, "internal", "the server failed: see its log")
