"""All evidence on one file."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from dfjax.evidence import content_credentials, stated
from dfjax.evidence.content_credentials import ContentCredentials
from dfjax.evidence.stated import Stated


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a file says of its origin.

    Attributes:
      content_credentials: who signed it, and whether that holds.
      stated: programs, cameras and times that it names; None: they could not be read.
    """

    content_credentials: ContentCredentials
    stated: Stated | None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Evidence":
        """Returns what `dataclasses.asdict` was made of; its texts are not trusted.

        Raises:
          KeyError, TypeError, ValueError: these are no such values.
        """
        return cls(
            ContentCredentials.from_json(values["content_credentials"]),
            Stated.from_json(values["stated"]),
        )


def load() -> None:
    """Loads what `read` needs, for processes that are forked from this one."""
    content_credentials.load()


def read(path: str | os.PathLike, *, trust_list: str | None = None) -> Evidence:
    """Returns the evidence on the picture or video at `path`, which decodes.

    `trust_list` is as in `content_credentials.read`. What cannot be read is said as such; only a
    crash of a library, or too little memory, ends this call.
    """
    return Evidence(content_credentials.read(path, trust_list=trust_list), stated.read(path))


def failed(reason: str) -> Evidence:
    """Returns the evidence if reading it failed altogether, for a reason such as "reader.died"."""
    return Evidence(content_credentials.unreadable(reason), None)
