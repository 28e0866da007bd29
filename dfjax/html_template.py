"""Pages for people: names of files and other text from outside are always escaped.

`page.html.jinja` is what templates extend: the head of a page that loads nothing, and its look.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jinja2

_SHARED = pathlib.Path(__file__).parent


def make_template(
    path: pathlib.Path,
    *,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> jinja2.Template:
    """Returns the Jinja template in a file, which knows `values` and `filters` by name.

    A name that it does not know is an error when it is rendered, not an empty text.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([path.parent, _SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= values
    environment.filters |= filters or {}
    return environment.get_template(path.name)
