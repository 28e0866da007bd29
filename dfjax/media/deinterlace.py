"""Interlaced video to whole pictures, by FFmpeg's own filter."""

import collections
from collections.abc import Iterable, Iterator

import av
from av.filter import Graph

# One picture per frame, not per field, so that frames keep their numbers and times. A frame of an
# interlaced stream that is not itself interlaced passes unchanged.
_FILTER = ("bwdif", "mode=send_frame:deint=interlaced")

Timed = tuple[float | None, av.VideoFrame]


def deinterlace(frames: Iterable[Timed]) -> Iterator[Timed]:
    """Yields (time, frame) as they come, with the fields of interlaced frames joined.

    A stream without interlaced frames passes no filter. The filter looks at the next frame, too:
    after the first interlaced frame, every frame is one late.
    """
    joiner: _Joiner | None = None
    for time, frame in frames:
        if joiner is not None and not joiner.fits(frame):
            yield from joiner.finish()
            joiner = None
        if joiner is None and frame.interlaced_frame:
            joiner = _Joiner(frame)
        if joiner is None:
            yield time, frame
        else:
            yield from joiner.join(time, frame)
    if joiner is not None:
        yield from joiner.finish()


class _Joiner:
    """The filter, for frames of one size and format."""

    def __init__(self, frame: av.VideoFrame):
        self._kind = _kind(frame)
        self._times: collections.deque[float | None] = collections.deque()
        graph = Graph()
        self._source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        joined, self._sink = graph.add(*_FILTER), graph.add("buffersink")
        self._source.link_to(joined)
        joined.link_to(self._sink)
        graph.configure()
        self._graph = graph  # or it would be freed

    def fits(self, frame: av.VideoFrame) -> bool:
        return _kind(frame) == self._kind

    def join(self, time: float | None, frame: av.VideoFrame) -> Iterator[Timed]:
        self._times.append(time)
        self._source.push(frame)
        return self._pull()

    def finish(self) -> Iterator[Timed]:
        self._source.push(None)
        return self._pull()

    def _pull(self) -> Iterator[Timed]:
        while self._times:
            try:
                frame = self._sink.pull()
            except (BlockingIOError, EOFError):
                return
            yield self._times.popleft(), frame


def _kind(frame: av.VideoFrame) -> tuple[object, ...]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
