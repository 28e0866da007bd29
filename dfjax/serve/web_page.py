"""The page for people: the files of `page`, with the words of the catalogue."""

import json
import pathlib
from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from dfjax import html_template, words

FOLDER = pathlib.Path(__file__).with_name("page")
_INDEX = FOLDER / "index.html.jinja"


def make_router() -> APIRouter:
    """Returns the routes of the page, of its parts, and of its words."""
    router = APIRouter()
    router.add_api_route("/", _make_show(render_index(), "text/html"))
    router.add_api_route("/words.js", _make_show(write_words(), "text/javascript"))
    for file in sorted(FOLDER.iterdir()):
        if file != _INDEX:
            router.add_api_route(f"/{file.name}", _make_show_file(file))
    return router


def render_index() -> str:
    """Returns the page, in which everything is said that does not depend on a file."""
    return html_template.make_template(_INDEX, values={"words": words}).render()


def write_words() -> str:
    """Returns the catalogue as a module of JavaScript: its parts by name."""
    parts = {name: value for name, value in vars(words).items() if name[0].isupper()}
    lines = (f"export const {name} = {json.dumps(value)};\n" for name, value in parts.items())
    return "".join(lines)


def _make_show(text: str, kind: str) -> Callable[[], Awaitable[Response]]:
    async def show() -> Response:
        return Response(text, media_type=kind)

    return show


def _make_show_file(file: pathlib.Path) -> Callable[[], Awaitable[FileResponse]]:
    async def show() -> FileResponse:
        return FileResponse(file)

    return show
