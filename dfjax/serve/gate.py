"""What every request passes: who may ask, limits on body and time, headers, counters, the log.

ASGI, outside of all routes. The body is read here and handed on whole. A request is cancelled when
its client disconnects.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfjax.serve import errors
from dfjax.serve.body import Body, ClientGoneError
from dfjax.serve.errors import RequestError
from dfjax.serve.load import Load
from dfjax.serve.monitoring import Monitoring
from dfjax.serve.origins import Origins
from dfjax.serve.settings import Settings

_log = logging.getLogger(__name__)

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self)",
    "cache-control": "no-store",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
_METHODS = ("GET", "POST", "DELETE")  # counted by name: a client cannot make up labels
_PROTOCOL_PATHS = ("/v1/models", "/v2")


def error_response(path: str, error: RequestError) -> JSONResponse:
    """Returns an error in the words of the API that `path` belongs to."""
    described = {"code": error.code, "message": str(error)}
    content = {"error": str(error) if path.startswith(_PROTOCOL_PATHS) else described}
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    return JSONResponse(content, error.status, headers)


class Gate:
    """Middleware around all routes."""

    def __init__(self, app: ASGIApp, *, settings: Settings, load: Load, monitoring: Monitoring):
        self._app, self._settings = app, settings
        self._load, self._monitoring = load, monitoring
        self._origins = Origins(
            settings.host, hosts=settings.allowed_hosts, origins=settings.allowed_origins
        )

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

        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # uvicorn leaves the body out of its answer
        has_body = scope["method"] != "GET"  # GET is answered while the server drains, too
        try:
            with self._load.request() if has_body else contextlib.nullcontext():
                await self._handle(scope, receive, send_on, has_body=has_body)
        finally:
            self._note(scope, status, time.monotonic() - began)

    async def _handle(self, scope: Scope, receive: Receive, send: Send, *, has_body: bool) -> None:
        headers, is_read = dict(scope["headers"]), False
        body = Body(headers, self._settings, self._load)
        try:
            _check_framing(headers)
            self._origins.check(scope["method"], headers)
            if has_body:
                if self._load.draining:
                    raise errors.draining()
                await body.receive(receive)
            is_read = True
            await self._answer(scope, bytes(body.data), receive, send)
        except ClientGoneError:
            pass
        except Exception as exception:
            error = errors.from_exception(exception)
            if error.status == 500:
                _log.exception("a request failed")
            response = error_response(scope["path"], error)
            if not is_read:
                response.headers["connection"] = "close"  # what else it sent is not read
            await response(scope, receive, send)
        finally:
            body.release()

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Runs the route until it ends, takes too long, or its client disconnects."""
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        route = asyncio.create_task(self._app(scope, replay, send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            async with asyncio.timeout(self._settings.request_seconds):
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
        self._monitoring.requests.labels(method, route, str(status)).inc()
        self._monitoring.seconds.labels(route).observe(seconds)
        _log.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _check_framing(headers: Mapping[bytes, bytes]) -> None:
    """Raises RequestError for a body of two lengths: a proxy may have gone by the other one."""
    if b"content-length" in headers and b"transfer-encoding" in headers:
        raise errors.bad_request("send Content-Length or Transfer-Encoding, not both")
