"""The errors that a user or a scheduler can act on, apart from faults of the program."""


class UserError(ValueError):
    """A deliberate message: what was given, what is accepted, and what to do.

    The commands print it in one line and exit with its `status`, 2 for most. Only
    `media.errors.MediaError` and `OSError` are treated alike: any other exception is a fault of the
    program and keeps its traceback. `DFJAX_TRACEBACK=1` shows the traceback of these, too.
    """

    status = 2


class InUseError(UserError):
    """Another process writes where this one was to write."""

    status = 73  # EX_CANTCREAT of sysexits.h


class PreemptedError(Exception):
    """The run was asked to end, and did what it could: the same command goes on.

    It is no fault, and schedulers that see its status start the command again.
    """

    status = 75  # EX_TEMPFAIL of sysexits.h
