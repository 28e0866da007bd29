"""Live pictures: a camera, an RTSP or HTTP stream, or a video file played as if it were live.

A thread reads as fast as frames come and keeps only the newest: whoever looks slower than the
source sends misses frames and never falls behind.
"""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator

import av
import cv2
import numpy as np

from dfjax.media import video
from dfjax.media.errors import MediaError

URL_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")

_OPEN_SECONDS = 5.0
_READ_SECONDS = 5.0
_FIRST_PAUSE = 0.5  # seconds before trying again; doubles up to the last
_LAST_PAUSE = 30.0
# A stream may refer to another address; never to a file of this machine.
_PROTOCOLS = "rtsp,rtp,udp,tcp,tls,http,https,crypto"


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """A frame of a live source.

    `number` counts what the source sent, from 0; `captured` is the `time.monotonic()` at which it
    had arrived.
    """

    number: int
    captured: float
    _convert: Callable[[], np.ndarray]

    @functools.cached_property
    def image(self) -> np.ndarray:
        """RGB uint8 [H, W, 3]; converted when first asked for, as most frames may be passed over.

        Raises:
          MediaError: the colours cannot be converted.
        """
        return self._convert()


class LiveSource:
    """The newest frame of a source; a context manager.

    Attributes:
      num_received: frames that the source sent so far.
      num_reconnects: how often the source was lost and came back.
    """

    def __init__(self, source: str, *, keep_all: bool = False):
        """`source` is a camera's number, an RTSP or HTTP URL, or the path of a video.

        A file ends, everything else is opened again when it is lost. `keep_all` hands out every
        frame of a file, each as soon as the one before was taken.
        """
        self.source = source
        self.num_received = self.num_reconnects = 0
        self._is_file = not source.isdecimal() and not source.startswith(URL_SCHEMES)
        self._keep_all = keep_all and self._is_file
        self._newest: LiveFrame | None = None
        self._error: MediaError | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "LiveSource":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_READ_SECONDS + _OPEN_SECONDS)

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yields the newest frame each time one is asked for, until a file ends or `close`.

        Raises:
          MediaError: a file cannot be read, or a source could not be opened the first time.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest or self._ended or self._stop.is_set())
                frame, self._newest = self._newest, None
                self._changed.notify_all()
                if frame is None:
                    if self._error is not None:
                        raise self._error
                    return
            yield frame

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while not self._stop.is_set():
                received = self.num_received
                try:
                    self._read()
                    if self._is_file:
                        return
                except MediaError as error:
                    if self._is_file or not self.num_received:
                        self._error = error
                        return
                if self.num_received > received:
                    pause = _FIRST_PAUSE
                if self._stop.wait(pause):
                    return
                pause = min(2 * pause, _LAST_PAUSE)
                self.num_reconnects += 1
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read(self) -> None:
        """Hands over frames until the source ends, is lost, or nobody wants more."""
        if self.source.isdecimal():
            frames = _camera_frames(int(self.source))
        elif self._is_file:
            frames = _file_frames(self.source, in_time=not self._keep_all)
        else:
            frames = _network_frames(self.source)
        for convert in frames:
            captured = time.monotonic()
            with self._changed:
                if self._keep_all:
                    self._changed.wait_for(lambda: self._newest is None or self._stop.is_set())
                if self._stop.is_set():
                    return
                self._newest = LiveFrame(self.num_received, captured, convert)
                self.num_received += 1
                self._changed.notify_all()


def _camera_frames(number: int) -> Iterator[Callable[[], np.ndarray]]:
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise MediaError("unreadable", f"camera {number} does not open: is it there, and free?")
        while True:
            arrived, image = camera.read()
            if not arrived:
                raise MediaError("unreadable", f"camera {number} stopped sending")
            yield functools.partial(cv2.cvtColor, image, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def _network_frames(url: str) -> Iterator[Callable[[], np.ndarray]]:
    options = {"rtsp_transport": "tcp", "protocol_whitelist": _PROTOCOLS}
    try:
        container = av.open(url, options=options, timeout=(_OPEN_SECONDS, _READ_SECONDS))
    except av.FFmpegError as error:
        raise MediaError("unreadable", f"{url} does not open: {error.strerror}") from error
    with container:
        video.set_up_decoder(container, url)
        yield from _converters(container)
    raise MediaError("unreadable", f"{url} stopped sending")


def _file_frames(path: str, *, in_time: bool) -> Iterator[Callable[[], np.ndarray]]:
    with video.open_container(path) as container:
        began = time.monotonic()
        rate = float(container.streams.video[0].average_rate or 25)
        for number, convert in enumerate(_converters(container)):
            if in_time:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            yield convert


def _converters(container: av.container.InputContainer) -> Iterator[Callable[[], np.ndarray]]:
    for frame in video.decode_frames(container):
        yield functools.partial(_convert, frame)


def _convert(frame: av.VideoFrame) -> np.ndarray:
    try:
        return video.to_rgb(frame)
    except av.FFmpegError as error:
        raise MediaError("unsupported", f"colour matrix {frame.colorspace}: use BT.709") from error
