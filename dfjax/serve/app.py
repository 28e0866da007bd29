"""The application: its routes, its page, its start and its end."""

import gc
import logging
import pathlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from dfjax.serve import detection, gate, monitoring, open_inference, tf_serving
from dfjax.serve.errors import RequestError
from dfjax.serve.service import Service
from dfjax.serve.settings import Settings

_log = logging.getLogger(__name__)

_PAGE = pathlib.Path(__file__).with_name("page")
_PAGE_FILES = {"/": "index.html", "/app.js": "app.js", "/style.css": "style.css"}


def create_app(settings: Settings) -> FastAPI:
    """Returns the application, its model loaded and its processes started.

    Raises:
      UserError: there is no model at `settings.model`, or it fails its test.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.state.service = service
    app.add_middleware(gate.Gate, service=service)
    app.add_exception_handler(HTTPException, _answer_http_error)
    for routes in (detection, tf_serving, open_inference):
        app.include_router(routes.router)
    app.add_api_route("/metrics", _show_metrics)
    for path in _PAGE_FILES:
        app.add_api_route(path, _show_page)
    return app


def serve(
    model: str,
    *,
    runtime: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    jobs: int = 2,
) -> None:
    """Serves the model at `model` until the process is told to stop, with `jobs` processes.

    On SIGTERM or Ctrl-C it takes nothing new, finishes what it has, and returns; a second signal
    ends it at once.

    Raises:
      UserError: there is no model, or it fails its test.
      OSError: it cannot listen there.
    """
    set_up_log()
    settings = Settings(model=str(model), runtime=runtime, host=host, port=port, workers=jobs)
    with bind(settings) as listener:
        run(create_app(settings), listener)


def bind(settings: Settings) -> socket.socket:
    """Returns a socket that is bound, and not listening yet: a model takes a while to load.

    Raises:
      OSError: the address is in use, or none of this machine's.
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
    """Serves an application as `serve` does."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # it would have paths; `gate` logs routes
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    _Server(config, app.state.service).run([listener])


class _Server(uvicorn.Server):
    """Goes on listening while it drains, so that whoever asks is told that it is not ready."""

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self._service, self._deadline = service, 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is loaded now stays: to look through it for garbage stops every request for 0.2 s.
        gc.collect()
        gc.freeze()
        host, port = sockets[0].getsockname()[:2]
        _log.info("version %d at http://%s:%d/", self._service.versions.current.number, host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Without the signal in its list, uvicorn does not raise it again: the exit status is 0.
        self.should_exit = self._service.draining
        self._service.draining = True
        self._deadline = time.monotonic() + self._service.settings.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        if await super().on_tick(counter):
            return True
        late = time.monotonic() > self._deadline
        return self._service.draining and (self._service.idle or late)


async def _answer_http_error(request: Request, error: HTTPException) -> JSONResponse:
    told = RequestError(error.status_code, "http", f"{request.method}: {error.detail}")
    return gate.error_response(request.url.path, told)


async def _show_metrics(request: Request) -> Response:
    rendered = request.app.state.service.render_metrics()
    return Response(rendered, media_type=monitoring.CONTENT_TYPE)


async def _show_page(request: Request) -> FileResponse:
    return FileResponse(_PAGE / _PAGE_FILES[request.url.path])


def set_up_log() -> None:
    """Writes the log of the server to stderr."""
    log = logging.getLogger("dfjax")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # libraries set up the root as they like
