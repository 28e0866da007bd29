"""Names for the models, losses and corpora that a run chooses.

Modules register their entries when they are imported. Code that builds by name must import the
package that registers first. This module imports none of them.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from dfjax.errors import UserError

_ENTRIES: dict[str, dict[str, Callable[..., Any]]] = {}


def register(kind: str, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator that makes a callable buildable as (kind, name).

    Raises:
      ValueError: the name is already registered.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Any]:
        entries = _ENTRIES.setdefault(kind, {})
        if name in entries:
            raise ValueError(f"{kind} {name!r} is registered twice")
        entries[name] = make
        return make

    return decorate


def names(kind: str) -> list[str]:
    """Returns the registered names of a kind, sorted."""
    return sorted(_ENTRIES.get(kind, {}))


def options(kind: str, name: str) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of the entry (kind, name), by name; empty if there is no entry."""
    make = _ENTRIES.get(kind, {}).get(name)
    return inspect.signature(make).parameters if make else {}


def build(kind: str, name: str, **kwargs: Any) -> Any:
    """Returns the result of calling the entry (kind, name) with `kwargs`.

    Raises:
      UserError: nothing is registered under that name; the message lists the names.
    """
    if name not in _ENTRIES.get(kind, {}):
        raise UserError(f"unknown {kind} {name!r}: choose one of {', '.join(names(kind))}")
    return _ENTRIES[kind][name](**kwargs)
