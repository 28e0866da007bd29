"""Containers: which are opened, which of their streams is the film, and what bounds its decoder.

PyAV opens and decodes videos, here and in the modules that build on this one.
"""

import contextlib
import io
import os
import stat
from collections.abc import Iterator

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dfjax.media import limits
from dfjax.media.errors import MediaError

# FFmpeg detects the container by its content, and a playlist would open the files that it lists.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
CODECS = frozenset({"av1", "h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "vp8", "vp9"})
# Pictures of a container and parts of other streams: a player shows none of them as the film.
_NO_FILM = (
    Disposition.attached_pic
    | Disposition.timed_thumbnails
    | Disposition.still_image
    | Disposition.dependent
)


def missing_codecs() -> list[str]:
    """Returns those of `CODECS` that the installed FFmpeg does not decode, sorted."""
    return sorted(CODECS - av.codecs_available)


@contextlib.contextmanager
def open_container(path: str | os.PathLike) -> Iterator[InputContainer]:
    """Opens a video file.

    Raises:
      MediaError: the file cannot be read, or its container is not accepted.
    """
    _check_file(path)
    # Whatever a file refers to stays closed.
    options = {"protocol_whitelist": "none", "format_whitelist": _CONTAINERS}
    with open(path, "rb", buffering=0) as file:
        try:
            container = av.open(_Nameless(file), options=options, metadata_errors="replace")
        except av.FFmpegError as error:
            code = "corrupt" if isinstance(error, av.InvalidDataError) else "unsupported"
            message = (
                f"{path}: broken, or not mp4, mov, mkv, webm, avi, ts or mpg: encode the video "
                "again"
            )
            raise MediaError(code, message) from error
        with container:
            yield container


class _Nameless:
    """A file without its name, by which FFmpeg would guess what it is."""

    def __init__(self, file: io.FileIO):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def choose_film(container: InputContainer, path: str | os.PathLike) -> VideoStream:
    """Returns the stream that a player shows, with a bounded decoder; `path` is for messages.

    This is the first that the container marks as default, or the first. Cover art, thumbnails and
    layers of other streams do not count.

    Raises:
      MediaError: there is no such stream, or its codec or frame size is not accepted.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _NO_FILM]
    if not films:
        what = "only pictures, such as a cover" if container.streams.video else "no video stream"
        raise MediaError("no_video", f"{path}: has {what}: give a video with moving pictures")
    marked = [stream for stream in films if stream.disposition & Disposition.default]
    film = (marked or films)[0]
    _bound(film, path)
    return film


def _bound(stream: VideoStream, path: str | os.PathLike) -> None:
    decoder = stream.codec_context
    codec = decoder.codec.canonical_name if decoder else "unknown"
    if codec not in CODECS:
        accepted = ", ".join(sorted(CODECS))
        raise MediaError("unsupported", f"{path}: codec {codec}: encode it as one of {accepted}")
    if decoder.width * decoder.height > limits.MAX_FRAME_PIXELS:
        size = f"{decoder.width}x{decoder.height}"
        message = f"{path}: {size} is over {limits.MAX_FRAME_PIXELS} pixels: scale it down"
        raise MediaError("too_large", message)
    # On several threads, a damaged file may give other frames each time.
    decoder.thread_count = 1
    # Without it, FFmpeg leaves columns at the left that the codec says to cut off.
    decoder.flags |= Flags.unaligned
    # The header may hide the size, and a stream may change it: the decoder checks every frame.
    decoder.options = {"max_pixels": str(limits.MAX_FRAME_PIXELS)}


def _check_file(path: str | os.PathLike) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror}: give a readable file") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("unreadable", f"{path}: not a regular file: give the path of a video")
    if status.st_size == 0:
        raise MediaError("empty", f"{path}: the video has no bytes: copy it again")
