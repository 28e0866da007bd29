"""How a task may end without an answer, other than by its own MediaError."""


class WorkerError(Exception):
    """The process that worked on a task is gone, for a reason that is not known to be the task."""


class TimeLimitError(Exception):
    """A task exceeded its time limit."""


class CancelledTaskError(Exception):
    """A task was cancelled by its `Cancellation`."""
