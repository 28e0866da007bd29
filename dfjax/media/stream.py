"""Live video: a camera, an RTSP or HTTP stream, or a video file played as if it were live.

A separate process (`media.stream_process`) reads and decodes as fast as frames arrive and keeps
only the newest: a slow consumer misses frames but never falls behind. The process may crash or
hang: that is a lost source, which is opened again in a new one.
"""

import contextlib
import dataclasses
import fcntl
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from dfjax.media import address, limits
from dfjax.media.errors import MediaError
from dfjax.sandbox import interpreter, messages, one_host, seccomp

_START_SECONDS = 60.0  # to import the libraries on a busy machine
_STALL_SECONDS = 20.0  # without a frame or an error, then the process hangs
_SECONDS = 5.0  # for a host to answer, and between two pieces of a stream
_FIRST_PAUSE = 0.5  # seconds before the next try; doubles up to _LAST_PAUSE
_LAST_PAUSE = 30.0
_MAX_BYTES = 3 * limits.MAX_FRAME_PIXELS
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # variables that name trusted authorities
_PROGRAM = "from dfjax.media import stream_process; stream_process.serve()"


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """A frame of a live source.

    Attributes:
      number: position among the frames that the source sent, from 0.
      captured: `time.monotonic()` of its arrival.
      image: RGB uint8 [H, W, 3].
    """

    number: int
    captured: float
    image: np.ndarray


class LiveSource:
    """The newest frame of a source; a context manager.

    Attributes:
      source: a camera's number, a path, or an address without login and query.
      num_received: frames that the source has sent, as of the last one taken.
      num_reconnects: times that a lost source was opened again.
    """

    def __init__(self, source: str, *, keep_all: bool = False):
        """`source` is a camera's number, an address (`address.SCHEMES`), or the path of a video.

        A file ends; any other source is opened again when it is lost. With `keep_all`, every frame
        of a file is yielded, each as soon as the one before was taken.
        """
        self.source = address.mask(source)
        self.num_received = self.num_reconnects = 0
        self._source = source
        self._is_file = not source.isdecimal() and not address.is_address(source)
        self._keep_all = keep_all and self._is_file
        self._reader: _Reader | None = None
        self._stop = threading.Event()

    @property
    def pid(self) -> int | None:
        """The id of the process that reads the source now."""
        return None if self._reader is None else self._reader.pid

    def __enter__(self) -> "LiveSource":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._close()

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yields the newest frame each time, until a file ends or the context is left.

        Raises:
          MediaError: a file cannot be read, or another source cannot be opened the first time.
        """
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            before = self.num_received
            try:
                yield from self._read_once()
                return
            except MediaError:
                if self._stop.is_set():
                    return
                if self._is_file or not self.num_received:
                    raise
            finally:
                self._close()
            if self.num_received > before:
                pause = _FIRST_PAUSE
            self._stop.wait(pause)
            pause = min(2 * pause, _LAST_PAUSE)
            self.num_reconnects += 1

    def _read_once(self) -> Iterator[LiveFrame]:
        """Yields frames until a file ends; the end of any other source is a MediaError."""
        before = self.num_received
        self._reader = _Reader(self._source, every_frame=self._keep_all)
        while True:
            frame, received = self._reader.next()
            self.num_received = before + received
            if frame is None:
                return
            yield dataclasses.replace(frame, number=before + frame.number)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class _Reader:
    """A process that reads a source once."""

    def __init__(self, source: str, *, every_frame: bool):
        self._shown = address.mask(source)
        place = address.parse(source) if address.is_address(source) else None
        request = {
            "source": source,
            "every_frame": every_frame,
            "seconds": _SECONDS,
            "number": None if place is None else self._look_up(place),
            "parent": os.getpid(),
        }
        self._connector: one_host.Connector | None = None
        self._start()
        try:
            messages.send_json(self._channel, request)
            if request["number"] is not None:
                with contextlib.suppress(ConnectionError):  # the process tells why
                    self._connector = self._connect_only_to(place)
        except OSError as error:
            self.close()
            raise self._lost(error) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def next(self) -> tuple[LiveFrame | None, int]:
        """Returns a frame newer than the last, None at the end; and how many were received.

        Raises:
          MediaError: the source is lost, or the process is.
        """
        try:
            self._channel.sendall(b"n")
            header = messages.receive_json(self._channel)
            self._channel.settimeout(_STALL_SECONDS)
            if "error" in header:
                raise MediaError(*map(str, header["error"]))
            return self._receive_frame(header), int(header["received"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise self._lost(error) from error

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()
        self._pixels.close()
        if self._connector is not None:
            self._connector.join()

    def _start(self) -> None:
        self._channel, other_end = socket.socketpair()
        self._channel.settimeout(_START_SECONDS)
        # Frames do not fit a socket: both processes would be woken several times for each.
        with other_end, _unnamed_file() as shared:
            shared.truncate(_MAX_BYTES)
            _keep_size(shared)
            self._pixels = mmap.mmap(shared.fileno(), _MAX_BYTES)
            descriptors = [other_end.fileno(), shared.fileno()]
            self._process = interpreter.start(
                _PROGRAM,
                [*map(str, descriptors)],
                keep=descriptors,
                folder=os.getcwd(),
                stderr=subprocess.DEVNULL,
                variables=_CERTIFICATES,
            )

    def _look_up(self, place: address.Address) -> str | None:
        """The network address of a host: a process without a network cannot ask for it."""
        if not seccomp.available():
            return None
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise MediaError(
                "unreadable", f"{self._shown} does not open: {error.strerror}: check the address"
            ) from error
        return found[0][4][0]

    def _connect_only_to(self, place: address.Address) -> one_host.Connector:
        # RTSP needs one connection; a second would be that of a redirect.
        most = 1 if place.scheme.startswith("rtsp") else None
        return one_host.Connector(
            self._channel, place.host, place.port, max_connections=most, seconds=_SECONDS
        )

    def _receive_frame(self, header: dict[str, Any]) -> LiveFrame | None:
        if "end" in header:
            return None
        height, width = map(int, header["size"])
        if min(height, width) < 1 or height * width > limits.MAX_FRAME_PIXELS:
            raise ValueError(f"a frame of {width}x{height}")
        image = np.frombuffer(self._pixels, np.uint8, 3 * height * width).copy()
        image = image.reshape(height, width, 3)
        return LiveFrame(int(header["frame"]), float(header["captured"]), image)

    def _lost(self, error: Exception) -> MediaError:
        what = "hangs" if isinstance(error, TimeoutError) else "died"
        return MediaError("corrupt", f"{self._shown}: the process that reads it {what}: try again")


def _unnamed_file() -> BinaryIO:
    """A new file, in memory where the system has such files."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb")
    return tempfile.TemporaryFile()


def _keep_size(shared: BinaryIO) -> None:
    """Keeps the process from taking memory away that this one reads, which would end this one."""
    if sys.platform == "linux":
        fcntl.fcntl(shared, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
