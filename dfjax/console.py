"""How tables, notes and messages look on a terminal, and in a log."""

import logging
import sys
import unicodedata
from typing import Any

import rich.console
import rich.text

from dfjax import files

_LOG_WIDTH = 160  # columns: a log keeps whole tables, a terminal gets what fits
# Unicode categories of what is not seen and may act: control and format characters (the second have
# those that turn the direction of writing), halves of pairs, separators of lines and paragraphs.
_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def visible(text: object, *, keep: str = "") -> str:
    r"""Returns a text with every control and direction character escaped, as "\x1b", but `keep`.

    A name of a file can hold any: on a terminal it could recolour, overwrite or forge lines.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _ACTING and character not in keep
        else character
        for character in files.legible(str(text))
    )


def print_line(text: object, *, error: bool = False) -> None:
    """Prints one line to stdout, or stderr, in which no character acts."""
    print(visible(text), file=sys.stderr if error else sys.stdout, flush=True)


class _Console(rich.console.Console):
    """A console on which no character of a text acts, except for the end of a line."""

    def render_str(self, text: str, **options: Any) -> rich.text.Text:
        return super().render_str(visible(text, keep="\n"), **options)


def make_console() -> rich.console.Console:
    """Returns a console that prints names as they are: "a:train:" is not an emoji, "[b]" not bold.

    Lines outside of tables are not wrapped, so that a path can be copied. Characters that would act
    are `visible`.
    """
    as_they_are = {"soft_wrap": True, "markup": False, "emoji": False}
    console = _Console(**as_they_are)
    return console if console.is_terminal else _Console(**as_they_are, width=_LOG_WIDTH)


class Formatter(logging.Formatter):
    """Lines of a log, in which no character acts but the line ends of a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the lines of one record."""
        return visible(super().format(record), keep="\n")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Returns the first line; a message has no other."""
        return visible(super().formatMessage(record))


def one_line(message: object) -> str:
    """Returns the text of an error, or of anything, without line breaks."""
    return " ".join(str(message).split())
