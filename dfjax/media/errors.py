"""The one exception that every refused or unreadable picture or video ends in."""


class MediaError(Exception):
    """A file that cannot be used; `str(error)` is one line that names the cause and the fix.

    `code` is stable, for counting and for answers to machines:

    - `unreadable`   the path is missing, no regular file, or not permitted
    - `empty`        no bytes
    - `unsupported`  a container, codec or picture format that is not accepted
    - `too_large`    over a limit of `dfjax.media.limits`
    - `corrupt`      an accepted format that does not decode
    - `no_video`     a container without a video stream
    - `internal`     the code failed on it; the message says how
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        # Workers send these across processes, and pickle would rebuild from the message alone.
        return MediaError, (self.code, str(self))
