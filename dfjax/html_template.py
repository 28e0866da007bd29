"""Pages for people: names of files and other text from outside are always escaped.

`page.html.jinja` is what templates extend: the head of a page that loads nothing, and its look.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import markupsafe

_SHARED = pathlib.Path(__file__).parent


def make_template(
    path: pathlib.Path,
    *,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> jinja2.Template:
    """Returns the Jinja template in a file, which knows `values`, `filters` and `fill` by name.

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
    environment.filters |= {"fill": _fill} | (filters or {})
    return environment.get_template(path.name)


def _fill(text: str, **values: Any) -> markupsafe.Markup:
    """A text with what belongs into its braces, which may be markup that a template made."""
    return markupsafe.escape(text).format(**values)
