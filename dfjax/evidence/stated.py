"""What a file states of its making, as it may be shown. It is no evidence: anybody can write it."""

import dataclasses
import os
import warnings
from collections.abc import Mapping
from typing import Any

from dfjax.evidence import text
from dfjax.media import tags


@dataclasses.dataclass(frozen=True)
class Stated:
    """The texts of `media.tags.Tags`, clean (`evidence.text`); None or empty: there is none."""

    format: str | None
    codec: str | None
    profile: str | None
    encoders: tuple[str, ...]
    handlers: tuple[str, ...]
    created: str | None
    make: str | None
    model: str | None
    software: str | None
    taken: str | None
    has_position: bool

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is bool:
                value = bool(value)
            elif field.name in ("encoders", "handlers"):
                value = text.clean_all(value)
            else:
                value = text.clean(value)
            object.__setattr__(self, field.name, value)

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> "Stated | None":
        """Returns what `dataclasses.asdict` was made of; its texts are not trusted.

        Raises:
          TypeError: these are no such values.
        """
        return None if values is None else cls(**values)


def read(path: str | os.PathLike) -> Stated | None:
    """Returns what the file at `path` states; None: it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags that are not read
            return Stated(**dataclasses.asdict(tags.read(path)))
    except Exception:  # on hostile bytes, libraries raise half a dozen types
        return None
