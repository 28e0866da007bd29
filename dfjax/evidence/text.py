"""Texts that strangers wrote into a file: short, on one line, and without a character that acts."""

import itertools
from collections.abc import Iterable

from dfjax import console

MAX_LENGTH = 200  # characters
MAX_TEXTS = 8


def clean(value: object) -> str | None:
    r"""Returns a text of up to MAX_LENGTH characters, or None if nothing is left of it.

    Control and direction characters are escaped, as "\u202e" (`console.visible`). A longer text
    ends with "…". Cleaning it again changes nothing.
    """
    if value is None:
        return None
    # The first cut keeps a text of megabytes from being looked at character by character.
    text = console.visible(console.one_line(str(value)[: 4 * MAX_LENGTH]))
    if len(text) > MAX_LENGTH:
        text = f"{text[: MAX_LENGTH - 1]}…"
    return text or None


def clean_all(values: Iterable[object]) -> tuple[str, ...]:
    """Returns up to MAX_TEXTS different texts, each clean, in their order; looks at few more."""
    texts = dict.fromkeys(filter(None, map(clean, itertools.islice(values, 8 * MAX_TEXTS))))
    return tuple(texts)[:MAX_TEXTS]
