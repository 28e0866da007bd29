"""What every command does first and last: set up the process, and end it with a status.

A deliberate message (UserError), a file that cannot be used (MediaError) and the operating system's
errors end in one line and status 2, or the error's own; DFJAX_TRACEBACK=1 shows where they came
from. Everything else is a fault of the program and keeps its traceback, and its status is 1.
docs/operations.md lists the statuses.
"""

import argparse
import contextlib
import difflib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence

from dfjax import console
from dfjax.errors import PreemptedError, UserError
from dfjax.media import limits
from dfjax.media.errors import MediaError


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parses `argv` (None: the process's own), calls what it names, and returns the exit status.

    The parser sets `run`, a function from the arguments to the status, and `parser`, that of the
    command. Where it also sets `takes_overrides`, what it does not know itself goes to
    `arguments.overrides`.
    """
    arguments, rest = parser.parse_known_args(argv)
    if rest and not getattr(arguments, "takes_overrides", False):
        _refuse(getattr(arguments, "parser", parser), rest)
    arguments.overrides = rest
    _set_up()
    try:
        return arguments.run(arguments)
    except PreemptedError as error:  # all processes of the run end so, together
        console.print_line(f"dfjax: {error}", error=True)
        return error.status
    except (Exception, KeyboardInterrupt) as error:
        status = _tell(error)
        _leave_others(status)
        if status == 1:
            raise
        return status


def _refuse(parser: argparse.ArgumentParser, rest: Sequence[str]) -> None:
    """Ends with the usage of the command, and the option that was probably meant."""
    known = [flag for action in parser._actions for flag in action.option_strings]
    meant = [difflib.get_close_matches(text.partition("=")[0], known, 1) for text in rest]
    hint = "".join(f"; did you mean {flags[0]}?" for flags in meant if flags)
    parser.error(console.visible(f"unrecognized arguments: {' '.join(rest)}{hint}"))


def _tell(error: Exception | KeyboardInterrupt) -> int:
    """Prints what a user can act on; returns the exit status, 1 for a fault of the program."""
    if isinstance(error, KeyboardInterrupt):
        console.print_line("dfjax: interrupted: the same command continues", error=True)
        return 130
    if isinstance(error, (UserError, MediaError, OSError)):
        if os.environ.get("DFJAX_TRACEBACK") == "1":
            traceback.print_exc()
        console.print_line(f"dfjax: error: {error}", error=True)
        return getattr(error, "status", 2)
    return 1


def _leave_others(status: int) -> None:
    """Ends this process at once if it is one of several of a run: else they wait for each other.

    The others wait for its part of an update, and JAX's exit would wait for the others.
    """
    jax = sys.modules.get("jax")
    if jax is None or not jax.distributed.is_initialized() or jax.process_count() == 1:
        return
    if status == 1:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextlib.contextmanager
def printed_notes(logger_name: str) -> Iterator[None]:
    """Prints the warnings of a logger as notes, once, while the block runs."""
    handler = logging.StreamHandler()
    handler.setFormatter(console.Formatter("dfjax: note: %(message)s"))
    logger = logging.getLogger(logger_name)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def _set_up() -> None:
    if "cv2" not in sys.modules:
        limits.limit_opencv()
    # Silence TensorFlow's start-up log: CLU's writers load it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
