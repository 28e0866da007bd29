"""How tables and notes look on a terminal, and in a log."""

import rich.console

_LOG_WIDTH = 160  # columns: a log keeps whole tables, a terminal gets what fits


def make_console() -> rich.console.Console:
    """Returns a console that prints names as they are: "a:train:" is not an emoji, "[b]" not bold.

    Lines outside of tables are not wrapped, so that a path can be copied.
    """
    as_they_are = {"soft_wrap": True, "markup": False, "emoji": False}
    console = rich.console.Console(**as_they_are)
    return console if console.is_terminal else rich.console.Console(**as_they_are, width=_LOG_WIDTH)


def one_line(message: object) -> str:
    """Returns the text of an error, or of anything, without line breaks."""
    return " ".join(str(message).split())
