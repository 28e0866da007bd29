"""Names for the things a run chooses between: models, losses, corpora, ...

Other modules register at import; whoever builds by name imports the package that registers first.
"""

import inspect
from collections.abc import Callable
from typing import Any

from dfjax.errors import UserError

_ENTRIES: dict[str, dict[str, Callable[..., Any]]] = {}


def register(kind: str, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator that makes a callable buildable as (kind, name).

    Raises:
      ValueError: the name is taken.
    """

    def decorate(make: Callable[..., Any]) -> Callable[..., Any]:
        entries = _ENTRIES.setdefault(kind, {})
        if name in entries:
            raise ValueError(f"{kind} {name!r} is registered twice")
        entries[name] = make
        return make

    return decorate


def names(kind: str) -> list[str]:
    """The registered names of a kind, sorted."""
    return sorted(_ENTRIES.get(kind, {}))


def options(kind: str, name: str) -> list[str]:
    """The names of the arguments that the entry (kind, name) takes; none if there is no entry."""
    make = _ENTRIES.get(kind, {}).get(name)
    return list(inspect.signature(make).parameters) if make else []


def build(kind: str, name: str, **kwargs: Any) -> Any:
    """Returns what the entry (kind, name) makes of `kwargs`.

    Raises:
      UserError: nothing is registered under that name; the message lists what is.
    """
    if name not in _ENTRIES.get(kind, {}):
        raise UserError(f"unknown {kind} {name!r}: choose one of {', '.join(names(kind))}")
    return _ENTRIES[kind][name](**kwargs)
