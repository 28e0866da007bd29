"""Where live frames come from: a camera, a file, an address. Runs in the process that reads them.

Every source is an iterator of functions that make RGB of a frame, since most frames are never used.
"""

import functools
import time
from collections.abc import Callable, Iterator

import av
import cv2
import numpy as np

from dfjax.media import address, film, same_origin
from dfjax.media.errors import MediaError
from dfjax.media.film import Film

Frames = Iterator[Callable[[], np.ndarray]]

# What a server may send; the first bytes decide. None of these refers to another address, but HLS.
_FORMATS = "mpegts,mpjpeg,mjpeg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
_PLAYLIST_FORMATS = f"hls,{_FORMATS},aac"
_LONGEST_PAUSE = 1.0  # seconds between two frames of a file that is played


def open_camera(number: int) -> Frames:
    """Opens a camera by its number.

    Raises:
      MediaError: it does not open. The iterator raises it when the camera stops.
    """
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise MediaError(
            "unreadable",
            f"camera {number} does not open: connect it, and close other programs that use it",
        )
    return _camera_frames(camera, number)


def _camera_frames(camera: cv2.VideoCapture, number: int) -> Frames:
    while True:
        arrived, image = camera.read()
        if not arrived:
            raise MediaError("unreadable", f"camera {number} stopped sending: check its cable")
        yield functools.partial(cv2.cvtColor, image, cv2.COLOR_BGR2RGB)


def open_file(path: str, *, real_time: bool) -> Frames:
    """Yields the frames of a video; in real time, at the times at which they are shown.

    Raises:
      MediaError: it cannot be read, or is no accepted video.
    """
    with film.open_film(path) as opened:
        yield from _played(opened) if real_time else _pictures(opened)


def _played(opened: Film) -> Frames:
    due, last = time.monotonic(), 0.0
    for frame in opened.frames():
        due += min(frame.time - last, _LONGEST_PAUSE)
        last = frame.time
        time.sleep(max(0.0, due - time.monotonic()))
        yield frame.image


class NetworkSource:
    """A stream at an address; made before, and opened after the process gave up its rights."""

    def __init__(self, source: str, number: str | None, *, seconds: float):
        """`number` is the network address of the host (None: it is looked up by name).

        The host may be silent for `seconds`.

        Raises:
          MediaError: `source` is no address.
        """
        self._shown = address.mask(source)
        self._address = address.parse(source)
        self._number, self._seconds = number or self._address.host, seconds
        self._opener = same_origin.Opener(self._address, self._number, seconds=seconds)

    def open(self) -> Frames:
        """Opens the stream.

        Raises:
          MediaError: nobody answers, or what is sent is not accepted. The iterator raises it when
            the stream ends.
        """
        is_rtsp = self._address.scheme.startswith("rtsp")
        try:
            opened = self._open_rtsp() if is_rtsp else self._open_http()
        except (av.FFmpegError, OSError) as error:
            raise MediaError(
                "unreadable", f"{self._shown} does not open: {_reason(error)}: check the address"
            ) from error
        return self._frames(Film(opened, self._shown))

    def _open_rtsp(self) -> av.container.InputContainer:
        # Over TCP, frames come through the connection of the commands: there is no other.
        options = {
            "rtsp_transport": "tcp",
            "protocol_whitelist": "rtsp,rtp,tcp,tls",
            "format_whitelist": "rtsp,mpegts",
        }
        url = self._address.url(self._number, with_password=True)
        return av.open(url, options=options, timeout=self._seconds)

    def _open_http(self) -> av.container.InputContainer:
        is_playlist = self._address.is_playlist
        options = {
            "protocol_whitelist": "http,https",
            "format_whitelist": _PLAYLIST_FORMATS if is_playlist else _FORMATS,
        }
        if is_playlist:
            options["http_persistent"] = "0"  # it would need FFmpeg's own reader
        url = self._address.url(self._address.host, with_password=False)
        return av.open(url, options=options, io_open=self._opener.open)

    def _frames(self, opened: Film) -> Frames:
        yield from _pictures(opened)
        raise MediaError("unreadable", f"{self._shown} stopped sending: check the source")


def _reason(error: Exception) -> object:
    if isinstance(error, PermissionError):  # it asked for a second connection, or was refused one
        return "it leads to another host"
    error = getattr(error, "reason", error)  # urllib's errors wrap others
    return getattr(error, "strerror", None) or error


def _pictures(opened: Film) -> Frames:
    return (frame.image for frame in opened.frames())
