"""The one exception that a refused or unreadable picture or video raises."""

from dfjax import files


class MediaError(Exception):
    """A file that cannot be used; `str(error)` is one line that names the cause and the fix.

    It is legible, whatever the name of the file. `code` is stable, for counting and for programs:

    - `unreadable`   the path is missing, not a regular file, or not permitted
    - `empty`        no bytes
    - `unsupported`  a container, codec or picture format that is not accepted
    - `too_large`    over a limit of `dfjax.media.limits`
    - `corrupt`      an accepted format that does not decode
    - `no_video`     a container without a video stream
    - `time_limit`   the time that it may take was not enough
    - `worker_died`  the processes that decoded it died, by a crash or for lack of memory
    - `internal`     the code failed on the file; the message says how
    """

    def __init__(self, code: str, message: str):
        super().__init__(files.legible(message))
        self.code = code

    def __reduce__(self):
        # Worker processes send these, and pickle would rebuild one from the message alone.
        return MediaError, (self.code, str(self))
