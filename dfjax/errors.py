"""The error that a user can act on, apart from faults of the program."""


class UserError(ValueError):
    """A deliberate message: what was given, what is accepted, and what to do.

    The commands print it in one line and exit with status 2. Only `media.errors.MediaError` and
    `OSError` are treated alike: any other exception is a fault of the program and keeps its
    traceback. `DFJAX_TRACEBACK=1` shows the traceback of these, too.
    """
