"""What a request can fail of, beside the file itself: a status, a stable code and a sentence."""

from dfjax.media.errors import MediaError
from dfjax.media.sandbox import TimeLimitError, WorkerError

_STATUS_OF_MEDIA = {"too_large": 413, "unsupported": 415}  # the others: 422


class RequestError(Exception):
    """Ends a request with `status`; `retry_after` is in seconds, None where trying is no use."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None):
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after


def overloaded(what: str, retry_after: int) -> RequestError:
    """Returns the error for a queue that is full."""
    message = f"{what}: try again in {retry_after} s"
    return RequestError(429, "overloaded", message, retry_after=retry_after)


def draining() -> RequestError:
    """Returns the error of a server that was told to stop."""
    return RequestError(503, "draining", "the server is stopping: try again", retry_after=1)


def from_exception(error: Exception) -> RequestError:
    """Returns what a client is told about `error`; nothing of an unexpected one."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, MediaError):
        return RequestError(_STATUS_OF_MEDIA.get(error.code, 422), error.code, str(error))
    if isinstance(error, TimeLimitError | TimeoutError):
        return RequestError(504, "time_limit", str(error) or "it took too long: send less at once")
    if isinstance(error, WorkerError):
        return RequestError(503, "worker_died", str(error), retry_after=1)
    return RequestError(500, "internal", "the server failed: see its log")
