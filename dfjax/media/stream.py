"""Live video: a camera, an RTSP or HTTP stream, or a video file played as if it were live.

A thread reads as fast as frames arrive and keeps only the newest: a slow consumer misses frames but
never falls behind.
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
_FIRST_PAUSE = 0.5  # seconds before the next try; doubles up to _LAST_PAUSE
_LAST_PAUSE = 30.0
# A stream may refer to another address, but never to a file of this machine.
_PROTOCOLS = "rtsp,rtp,udp,tcp,tls,http,https,crypto"


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """A frame of a live source.

    Attributes:
      number: position among the frames that the source sent, from 0.
      captured: `time.monotonic()` of its arrival.
    """

    number: int
    captured: float
    _convert: Callable[[], np.ndarray]

    @functools.cached_property
    def image(self) -> np.ndarray:
        """RGB uint8 [H, W, 3]; converted at first use, since most frames may never be used.

        Raises:
          MediaError: the colors cannot be converted.
        """
        return self._convert()


class LiveSource:
    """The newest frame of a source; a context manager.

    Attributes:
      source: a camera's number, a URL or a path.
      num_received: frames that the source has sent.
      num_reconnects: times that a lost source was opened again.
    """

    def __init__(self, source: str, *, keep_all: bool = False):
        """`source` is a camera's number, an RTSP or HTTP URL, or the path of a video.

        A file ends; any other source is opened again when it is lost. With `keep_all`, every frame
        of a file is yielded, each as soon as the one before was taken.
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
        """Yields the newest frame each time, until a file ends or the context is left.

        Raises:
          MediaError: a file cannot be read, or another source cannot be opened the first time.
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
        """Publishes frames until the source ends or is lost, or the context is left."""
        if self.source.isdecimal():
            frames = _camera_frames(int(self.source))
        elif self._is_file:
            frames = _file_frames(self.source, real_time=not self._keep_all)
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
            raise MediaError(
                "unreadable",
                f"camera {number} does not open: connect it, and close other programs that use it",
            )
        while True:
            arrived, image = camera.read()
            if not arrived:
                raise MediaError("unreadable", f"camera {number} stopped sending: check its cable")
            yield functools.partial(cv2.cvtColor, image, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def _network_frames(url: str) -> Iterator[Callable[[], np.ndarray]]:
    options = {"rtsp_transport": "tcp", "protocol_whitelist": _PROTOCOLS}
    try:
        container = av.open(url, options=options, timeout=(_OPEN_SECONDS, _READ_SECONDS))
    except av.FFmpegError as error:
        raise MediaError(
            "unreadable", f"{url} does not open: {error.strerror}: check the address"
        ) from error
    with container:
        video.set_up_decoder(container, url)
        yield from _converters(container)
    raise MediaError("unreadable", f"{url} stopped sending: check the source")


def _file_frames(path: str, *, real_time: bool) -> Iterator[Callable[[], np.ndarray]]:
    with video.open_container(path) as container:
        began = time.monotonic()
        rate = float(container.streams.video[0].average_rate or 25)
        for number, convert in enumerate(_converters(container)):
            if real_time:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            yield convert


def _converters(container: av.container.InputContainer) -> Iterator[Callable[[], np.ndarray]]:
    for frame in video.decode_frames(container):
        yield functools.partial(_convert, frame)


def _convert(frame: av.VideoFrame) -> np.ndarray:
    try:
        return video.to_rgb(frame)
    except av.FFmpegError as error:
        raise MediaError("unsupported", f"color matrix {frame.colorspace}: use BT.709") from error
