"""The film in a container: its frames in the order and at the times at which a player shows them.

Frames are decoded in one sequential pass on one thread, so that a file gives the same frames
everywhere.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from dfjax.media import container as media_container
from dfjax.media import deinterlace
from dfjax.media.display import Display

_GUESSED_RATE = 25.0  # frames a second, where the container states no rate that can be true
_MAX_RATE = 240.0  # what is over it is the number of ticks in a second
_JUMP = 1.0  # seconds backwards: more is another recording in the same stream
_WHOLE = 0.9  # of the stated length: less is missing something


@dataclasses.dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
      time: at which it is shown, in seconds from the first frame of the film.
      image: returns what a player shows, RGB uint8 [H, W, 3] (`Display.show`).
      copy: returns a small copy of it (`Display.shrink`).
    """

    time: float
    image: Callable[[], np.ndarray]
    copy: Callable[[], np.ndarray]


@contextlib.contextmanager
def open_film(path: str | os.PathLike) -> Iterator["Film"]:
    """Opens the film of a file.

    Raises:
      MediaError: see `container.open_container` and `container.choose_film`.
    """
    with media_container.open_container(path) as container:
        yield Film(container, path)


class Film:
    """The film in an open container (`container.choose_film`).

    Attributes:
      rate: frames per second as the container states them; 0.0: it does not, or it cannot be true.
      duration: length in seconds as the container states it; 0.0: it does not.
      num_declared: number of frames that the container states; 0: it states none.
      num_decoded: frames that were decoded so far.
      end: the end of the last of them, in seconds from the first frame.
    """

    def __init__(self, container: InputContainer, path: str | os.PathLike):
        """`path` is for messages.

        Raises:
          MediaError: there is no film, or it is not accepted.
        """
        self._container = container
        self.num_decoded, self.end = 0, 0.0
        self._stream = stream = media_container.choose_film(container, path)
        rate = float(stream.average_rate or 0)
        self.rate = rate if rate <= _MAX_RATE else 0.0
        self.duration = _duration(container, stream)
        self.num_declared = _num_declared(container, stream)
        self._display = Display(self._stream, path)
        self._errors = _DecoderErrors()
        self._num_packets = self._num_numbered = 0
        self._is_avi, self._is_interlaced = container.format.name == "avi", False
        self._first: float | None = None  # time of the first frame, as the container counts
        self._film_end = self._file_end = 0.0  # of packets; a file ends with its film or sound
        self._awaits_key = False  # frames before it refer to some that were not decoded

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was noticed so far, as sentences without a capital and a full stop."""
        joined = "the video is interlaced: the two fields of each frame were joined (bwdif)"
        return (joined,) * self._is_interlaced + self._display.warnings

    def frames(self) -> Iterator[Frame]:
        """Yields every frame from here on that decodes."""
        clock = _Clock(1 / (self.rate or _GUESSED_RATE))
        timed = ((clock.read(self._stamp(frame)), frame) for frame in self._decode())
        for time, frame in deinterlace.deinterlace(timed):
            self.end = time + clock.step
            yield Frame(
                time,
                functools.partial(self._display.show, frame),
                functools.partial(self._display.shrink, frame),
            )

    def seek(self, time: float) -> None:
        """Goes to the last key frame at or before `time`, in seconds from the first frame.

        The first frame must have been decoded.

        Raises:
          av.FFmpegError: the file cannot be searched.
        """
        ticks = int(((self._first or 0.0) + time) / self._stream.time_base)
        self._container.seek(ticks, stream=self._stream)
        self._errors.forget()
        self._awaits_key = True

    def count(self) -> tuple[int, float]:
        """Returns the number of frames that the file holds and its length in seconds.

        Reads the whole file and decodes nothing.
        """
        first = None
        for packet in self._packets():
            if first is None and packet.pts is not None:
                first = float(packet.pts * packet.time_base)
        return self._num_packets, self._film_end - (first or 0.0)

    def damage(self, *, is_whole: bool) -> tuple[str, ...]:
        """Returns why the file is damaged, as sentences; empty: it is not.

        Only the file can say so: its decoder by errors and, if the file was read from its begin to
        its end (`is_whole`), its container by stating more than it holds.
        """
        found = []
        if num_bad := self._errors.count():
            found.append(
                f"the decoder reported errors in {num_bad} of {self._num_packets} frames: parts of "
                "the video are damaged"
            )
        if is_whole and self._num_present < self.num_declared:
            found.append(
                f"the file states {self.num_declared} frames and holds {self._num_present}: it is "
                "damaged, or was cut off"
            )
        if is_whole and self._ends_early():
            found.append(
                f"the file states a length of {self.duration:.1f} s and ends after "
                f"{self._file_end:.1f} s: it is damaged, or was cut off"
            )
        return tuple(found)

    @property
    def _num_present(self) -> int:
        """The frames that the file holds, as its container counts them."""
        # AVI counts dropped frames, which it holds without a packet.
        return self._num_numbered if self._is_avi else self._num_packets

    def _ends_early(self) -> bool:
        # Other containers state no length: FFmpeg takes it from what is there.
        is_stated = self._container.format.name.startswith("matroska")
        return is_stated and self._file_end < _WHOLE * self.duration

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._errors.add(True)
                continue
            for frame in frames:
                self._awaits_key &= not frame.key_frame
                if self._awaits_key:
                    continue
                self._errors.add(frame.is_corrupt)
                self.num_decoded += 1
                self._is_interlaced |= bool(frame.interlaced_frame)
                yield frame

    def _packets(self) -> Iterator[av.Packet]:
        """The packets of the film; those of its sound only tell how long the file is."""
        for packet in self._demux():
            end = 0.0
            if packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._file_end = max(self._file_end, end)
            if packet.stream is self._stream:
                self._film_end = max(self._film_end, end)
                self._num_packets += packet.size > 0
                self._num_numbered = max(self._num_numbered, (packet.dts or 0) + 1)
                yield packet

    def _demux(self) -> Iterator[av.Packet]:
        streams = [self._stream, *self._container.streams.audio]
        packets = self._container.demux(streams)
        while True:
            try:
                packet = next(packets)
            except IndexError:  # of a stream that the header does not have
                packets = self._container.demux(streams)
            except (StopIteration, av.FFmpegError):
                return
            else:
                yield packet

    def _stamp(self, frame: av.VideoFrame) -> float | None:
        """The time of a frame from the first one, in seconds, as the container has it."""
        # AVI has no other times than the numbers of its packets.
        ticks = frame.dts if self._is_avi else frame.pts
        if ticks is None:
            return None
        time = float(ticks * self._stream.time_base)
        if self._first is None:
            self._first = time
        return time - self._first


def _duration(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _num_declared(container: InputContainer, stream: VideoStream) -> int:
    if container.format.name == "avi":
        return max(0, stream.frames)
    if container.format.name.startswith("mov"):  # without what an edit list leaves out
        return len(stream.index_entries)
    return 0


class _Clock:
    """Times of successive frames: never backwards, and always known."""

    def __init__(self, step: float):
        self.step = step  # seconds from one frame to the next, as far as is known
        self._last: float | None = None
        self._shift = 0.0

    def read(self, stamp: float | None) -> float:
        """Returns the time of the next frame, whose own time is `stamp`."""
        last = self._last
        if stamp is None:
            time = 0.0 if last is None else last + self.step
        else:
            if last is not None and stamp + self._shift < last - _JUMP:
                self._shift = last + self.step - stamp
            time = stamp + self._shift
            if last is not None:
                time = max(time, last)
        if last is not None and time > last:
            self.step = time - last
        self._last = time
        return time


class _DecoderErrors:
    """Counts errors between sound frames: recordings begin and end in the middle of pictures."""

    def __init__(self) -> None:
        self._num_sound = self._num_bad = self._num_last = 0

    def add(self, is_bad: bool) -> None:
        if is_bad:
            self._num_last += self._num_sound > 0
            return
        self._num_sound += 1
        self._num_bad += self._num_last
        self._num_last = 0

    def forget(self) -> None:
        """Starts again in another place of the file."""
        self._num_sound = self._num_last = 0

    def count(self) -> int:
        return self._num_bad + (self._num_last if self._num_last > 1 else 0)
