"""The application: its routes, its page, its start and its end."""

import functools
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from dfjax import console
from dfjax.sandbox import confinement
from dfjax.serve import detection, gate, monitoring, open_inference, tf_serving, web_page
from dfjax.serve.connection import Connection
from dfjax.serve.errors import RequestError
from dfjax.serve.service import Service
from dfjax.serve.settings import Settings

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 5.0  # to close what is open, when the time to finish work is over


def create_app(settings: Settings) -> FastAPI:
    """Returns the application, its model loaded and its processes started.

    Raises:
      UserError: there is no model at `settings.model`, or it fails its check.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.state.service = service
    app.add_middleware(
        gate.Gate, settings=settings, load=service.load, monitoring=service.monitoring
    )
    if settings.allowed_origins:  # around the gate, so that those pages can read its errors, too
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Content-Type", open_inference.JSON_LENGTH],
            expose_headers=["Location", "Retry-After", open_inference.JSON_LENGTH],
        )
    app.add_exception_handler(HTTPException, _answer_http_error)
    for routes in (detection, tf_serving, open_inference):
        app.include_router(routes.router)
    app.add_api_route("/metrics", _show_metrics)
    app.include_router(web_page.make_router())
    return app


def serve(settings: Settings) -> None:
    """Serves a model until SIGTERM or Ctrl-C.

    Then it takes nothing new, finishes its work, and returns; a second signal ends it at once.

    Raises:
      UserError: there is no model, or it fails its check.
      OSError: it cannot listen on this address.
    """
    set_up_log()
    confinement.hide_memory()  # from a decode process that gets out of its sandbox
    with bind(settings) as listener:
        run(create_app(settings), listener)


def bind(settings: Settings) -> socket.socket:
    """Returns a bound socket that does not listen yet: the model takes a while to load.

    Raises:
      OSError: the address is in use, or does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        address = f"{settings.host}:{settings.port}"
        raise OSError(f"{address}: {error.strerror}: give another --host or --port") from error
    return listener


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serves an application until a signal, as `serve` does."""
    settings = app.state.service.settings
    connection = functools.partial(
        Connection,
        head_seconds=settings.head_seconds,
        max_connections=settings.max_connections,
    )
    config = uvicorn.Config(
        app,
        http=connection,
        ws="none",
        log_level="warning",
        access_log=False,  # it would name paths; `gate` logs routes
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    _Server(config, app.state.service).run([listener])


class _Server(uvicorn.Server):
    """Goes on listening while it drains, so that health checks learn that it is not ready."""

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self._service, self._deadline = service, 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is loaded now stays. Searching it for garbage would stop every request for 0.2 s.
        gc.collect()
        gc.freeze()
        host, port = sockets[0].getsockname()[:2]
        number = self._service.model_versions.current.number
        _log.info("version %d at http://%s:%d/", number, host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would keep the signal and raise it again: without it the exit status is 0.
        self.should_exit = self._service.load.draining
        self._service.load.draining = True
        seconds = self._service.settings.drain_seconds
        self._deadline = time.monotonic() + seconds
        _end_process_after(seconds + _GRACE_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        if await super().on_tick(counter):
            return True
        late = time.monotonic() > self._deadline
        return self._service.load.draining and (self._service.idle or late)


def _end_process_after(seconds: float) -> None:
    """Ends this process in any case: a library that hangs must not keep a stopped server alive."""

    def end() -> None:
        _log.error("the server did not stop in time, and is ended")
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


async def _answer_http_error(request: Request, exception: HTTPException) -> JSONResponse:
    message = f"{request.method[:20]}: {exception.detail}"
    return gate.error_response(
        request.url.path, RequestError(exception.status_code, "http", message)
    )


async def _show_metrics(request: Request) -> Response:
    rendered = request.app.state.service.render_metrics()
    return Response(rendered, media_type=monitoring.CONTENT_TYPE)


def set_up_log() -> None:
    """Writes the log of the server to stderr."""
    log = logging.getLogger("dfjax")
    handler = logging.StreamHandler()
    handler.setFormatter(console.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # the root logger belongs to libraries
