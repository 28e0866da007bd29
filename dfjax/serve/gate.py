"""What every request passes: limits on its body and its time, the drain, headers, counters, log.

ASGI, outside of all routes. The body is read here, counted as it comes, and handed on whole. A
request whose client has gone is cancelled.
"""

import asyncio
import logging
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfjax.serve import errors
from dfjax.serve.errors import RequestError
from dfjax.serve.service import Service

_log = logging.getLogger(__name__)

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
_METHODS = ("GET", "POST", "DELETE")  # counted by name: a client cannot make up labels
_PROTOCOL_PATHS = ("/v1/models", "/v2")


class _ClientGoneError(Exception):
    pass


def error_response(path: str, error: RequestError) -> JSONResponse:
    """Returns an error as the API that `path` belongs to words it."""
    described = {"code": error.code, "message": str(error)}
    content = {"error": str(error) if path.startswith(_PROTOCOL_PATHS) else described}
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    return JSONResponse(content, error.status, headers)


class Gate:
    """Middleware around all routes of a service."""

    def __init__(self, app: ASGIApp, service: Service):
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; other kinds of ASGI traffic pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 499  # 499: the client left before an answer

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *_RAW_HEADERS]}
            await send(message)

        try:
            await self._handle(scope, receive, send_on)
        finally:
            self._note(scope, status, time.monotonic() - began)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_work, body = scope["method"] not in ("GET", "HEAD"), bytearray()
        is_whole = not is_work
        self._service.in_flight += is_work
        try:
            if is_work:
                await self._read_body(scope, receive, body)
                is_whole = True
            await self._answer(scope, body, receive, send)
        except _ClientGoneError:
            pass
        except Exception as error:
            told = errors.from_exception(error)
            if told.status == 500:
                _log.exception("a request failed")
            response = error_response(scope["path"], told)
            if not is_whole:
                response.headers["connection"] = "close"  # the rest of the body is not read
            await response(scope, receive, send)
        finally:
            self._service.in_flight -= is_work
            self._service.release(len(body))

    async def _read_body(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        """Fills `body`; RequestError where it is too long, too slow, encoded, or too late."""
        settings, headers = self._service.settings, dict(scope["headers"])
        if self._service.draining:
            raise errors.draining()
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RequestError(415, "unsupported", "send the body without Content-Encoding")
        length = headers.get(b"content-length", b"0")
        most = settings.max_body_bytes
        if length.isdigit() and int(length) > most:
            raise _too_large(most)
        try:
            async with asyncio.timeout(settings.upload_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGoneError
                    chunk = message.get("body", b"")
                    if len(body) + len(chunk) > most:
                        raise _too_large(most)
                    self._service.hold(len(chunk))
                    body += chunk
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            limit = f"the body did not arrive within {settings.upload_seconds:g} s"
            raise RequestError(408, "upload_time", f"{limit}: send less, or faster") from None

    async def _answer(self, scope: Scope, body: bytearray, receive: Receive, send: Send) -> None:
        """Runs the route until it is done, takes too long, or has nobody to answer to."""
        messages = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        route = asyncio.create_task(self._app(scope, replay, send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            async with asyncio.timeout(self._service.settings.request_seconds):
                await asyncio.wait((route, gone), return_when=asyncio.FIRST_COMPLETED)
            if route.done():
                route.result()
        finally:
            route.cancel()
            gone.cancel()
            await asyncio.gather(route, gone, return_exceptions=True)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts and logs a request by its route: neither names nor contents, which are private."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        counters = self._service.monitoring
        counters.requests.labels(method, route, str(status)).inc()
        counters.seconds.labels(route).observe(seconds)
        _log.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(most: int) -> RequestError:
    return RequestError(413, "too_large", f"the body is over {most} bytes: send less")
