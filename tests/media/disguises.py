"""One clip as people's devices and programs would have written it: other containers, same pictures.

Written from the standards with PyAV and numpy; no code of dfjax has a part in it. A clip is
`Clip(frames, rate)`; each disguise writes it to a path. What it must look like is the clip itself.
"""

import dataclasses
import fractions
import io
import itertools
import pathlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from fuzz import heif
from tests.media import signals

_NEARLY_LOSSLESS = {"crf": "8", "preset": "fast"}
_HEVC = {"crf": "8", "preset": "fast", "x265-params": "log-level=none"}
_SDR = (Colorspace.ITU709, ColorPrimaries.BT709, ColorTrc.BT709)
_HDR = (Colorspace.BT2020, ColorPrimaries.BT2020)
_ONE = 1 << 16  # of the 16.16 numbers in a display matrix
_COVER_SIZE = (320, 240)


@dataclasses.dataclass(frozen=True)
class Clip:
    """RGB uint8 [H, W, 3] frames, with sides that 16 divides, and how many a second shows."""

    frames: Sequence[np.ndarray]
    rate: int


def plain(clip: Clip, path: pathlib.Path) -> None:
    """H.264 in .mp4: what the others are compared with."""
    _write(path, _planes_of(clip.frames), clip.rate)


def turned(clip: Clip, path: pathlib.Path) -> None:
    """A phone held upright: stored lying, with a matrix that turns it by 90 degrees clockwise."""
    _write(path, _planes_of([np.rot90(frame) for frame in clip.frames]), clip.rate)
    _set_matrix(path, (0, 1, -1, 0), clip.frames[0].shape[1::-1][::-1])


def mirrored(clip: Clip, path: pathlib.Path) -> None:
    """A selfie: stored mirrored, with a matrix that mirrors it back."""
    _write(path, _planes_of([frame[:, ::-1] for frame in clip.frames]), clip.rate)
    _set_matrix(path, (-1, 0, 0, 1), clip.frames[0].shape[1::-1])


def turned_and_mirrored(clip: Clip, path: pathlib.Path) -> None:
    """A selfie held upright: rows are stored as columns."""
    _write(path, _planes_of([frame.swapaxes(0, 1) for frame in clip.frames]), clip.rate)
    _set_matrix(path, (0, 1, 1, 0), clip.frames[0].shape[:2])


def with_wide_pixels(clip: Clip, path: pathlib.Path) -> None:
    """Broadcast tape: pixels 4 wide and 3 high. A quarter of the columns is lost."""
    height, width = clip.frames[0].shape[:2]
    _write_scaled(clip, path, 3 * width // 4, height)


def with_narrow_pixels(clip: Clip, path: pathlib.Path) -> None:
    """Pixels 3 wide and 4 high, which players make higher. A quarter of the rows is lost."""
    height, width = clip.frames[0].shape[:2]
    _write_scaled(clip, path, width, 3 * height // 4)


def hlg(clip: Clip, path: pathlib.Path) -> None:
    """A recent phone: HEVC of 10 bits, Hybrid Log-Gamma."""
    _write_hdr(clip, path, signals.hlg_signal, ColorTrc.ARIB_STD_B67)


def pq(clip: Clip, path: pathlib.Path) -> None:
    """HDR10: HEVC of 10 bits, perceptual quantizer."""
    _write_hdr(clip, path, signals.pq_signal, ColorTrc.SMPTE2084)


def interlaced(clip: Clip, path: pathlib.Path) -> None:
    """Television: each picture holds the even lines of one frame and the odd ones of the next.

    Half of the lines of every moment are lost.
    """
    woven = (_weave(*pair) for pair in zip(clip.frames[::2], clip.frames[1::2], strict=True))
    options = {**_NEARLY_LOSSLESS, "flags": "+ildct+ilme"}
    _write(path, woven, fractions.Fraction(clip.rate, 2), options=options, interlaced=True)


def of_variable_rate(clip: Clip, path: pathlib.Path) -> None:
    """A phone in the dark, a screen recording: a third of the frames is missing, here and there."""
    kept = np.random.default_rng(0).permutation(len(clip.frames) - 1)[len(clip.frames) // 3 :] + 1
    times = [0, *sorted(kept.tolist())]
    frames = [clip.frames[time] for time in times]
    _write(path, _planes_of(frames), clip.rate, times=times)


def with_cover_first(clip: Clip, path: pathlib.Path) -> None:
    """A tagger's work: moov/udta/meta/ilst/covr stands in front of the tracks."""
    plain(clip, path)
    data = path.read_bytes()
    start, end = next(span for kind, *span in _boxes(data, 0, len(data)) if kind == b"moov")
    parts = list(_boxes(data, start + 8, end))
    cover = _box(b"covr", _box(b"data", struct.pack(">II", 13, 0) + _cover()))
    handler = _box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = _box(b"udta", _box(b"meta", bytes(4) + handler + _box(b"ilst", cover)))
    head, *tracks = [data[a:b] for kind, a, b in parts if kind != b"udta"]
    moov = _box(b"moov", head + tags + b"".join(tracks))
    assert end == len(data)  # or the offsets of the frames would be wrong now
    path.write_bytes(data[:start] + moov)


def with_attached_cover(clip: Clip, path: pathlib.Path) -> None:
    """A tagger's work in Matroska: players show the attachment as another stream of pictures."""
    _write(path, _planes_of(clip.frames), clip.rate, cover=_cover())


def webm(clip: Clip, path: pathlib.Path) -> None:
    """VP9 in WebM, as sites make it; it is encoded anew, and fine detail is lost."""
    options = {"crf": "15", "b": "0", "deadline": "good", "cpu-used": "5"}
    _write(path, _planes_of(clip.frames), clip.rate, codec="libvpx-vp9", options=options)


def still(clip: Clip, path: pathlib.Path) -> None:
    """The first frame as a phone's photograph, in .heic."""
    path.write_bytes(heif.write_heic(clip.frames[0]))


def long(clip: Clip, path: pathlib.Path, times: int) -> None:
    """The clip many times over, the same packets again and again."""
    film = path.with_suffix(".film.mp4")
    plain(clip, film)
    with av.open(str(path), "w") as container, av.open(str(film)) as source:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        stored = [(bytes(p), p.pts, p.dts, p.is_keyframe, p.time_base) for p in packets]
        length = round(fractions.Fraction(len(stored), clip.rate) / stored[0][4])
        for number in range(times):
            for data, pts, dts, is_keyframe, time_base in stored:
                copy = av.Packet(data)
                copy.stream, copy.time_base, copy.is_keyframe = stream, time_base, is_keyframe
                copy.pts, copy.dts = pts + number * length, dts + number * length
                copy.duration = length // len(stored)
                container.mux(copy)
    film.unlink()


def _planes_of(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    return (signals.to_planes(frame / 255) for frame in frames)


def _weave(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    woven = first.copy()
    woven[1::2] = second[1::2]
    return signals.to_planes(woven / 255, fields=True)


def _write_scaled(clip: Clip, path: pathlib.Path, width: int, height: int) -> None:
    shown_height, shown_width = clip.frames[0].shape[:2]
    shape = fractions.Fraction(shown_width * height, width * shown_height)
    scaled = [
        av.VideoFrame.from_ndarray(frame, "rgb24")
        .reformat(width, height, interpolation="LANCZOS")
        .to_ndarray()
        for frame in clip.frames
    ]
    _write(path, _planes_of(scaled), clip.rate, sample_aspect_ratio=shape)


def _write_hdr(
    clip: Clip, path: pathlib.Path, signal: Callable[[np.ndarray], np.ndarray], transfer: ColorTrc
) -> None:
    planes = (
        signals.to_planes(signal(signals.nits(frame)), signals.KR_KB_2020, 10)
        for frame in clip.frames
    )
    _write(path, planes, clip.rate, codec="libx265", options=_HEVC, colors=(*_HDR, transfer))


def _write(
    path: pathlib.Path,
    planes: Iterable[np.ndarray],
    rate: fractions.Fraction | int,
    *,
    codec: str = "libx264",
    options: dict[str, str] = _NEARLY_LOSSLESS,
    colors: tuple[int, int, int] = _SDR,
    times: Sequence[int] | None = None,
    sample_aspect_ratio: fractions.Fraction | None = None,
    interlaced: bool = False,
    cover: bytes = b"",
) -> None:
    """Writes planes of `signals.to_planes`; number N is shown at `times[N]` of `rate`, or at N."""
    planes = iter(planes)
    first = next(planes)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        context = stream.codec_context
        context.height, context.width = first.shape[0] * 2 // 3, first.shape[1]
        context.pix_fmt = "yuv420p" if first.dtype == np.uint8 else "yuv420p10le"
        context.time_base = 1 / fractions.Fraction(rate)
        context.colorspace, context.color_primaries, context.color_trc = colors
        context.color_range = ColorRange.MPEG
        context.thread_count = 1  # or two runs give two files
        if sample_aspect_ratio:
            context.sample_aspect_ratio = sample_aspect_ratio
        if cover:
            container.add_attachment("cover.jpg", "image/jpeg", cover)
        prepare = _marker_of_fields(context) if interlaced else lambda frame: frame
        for number, stacked in enumerate(itertools.chain([first], planes)):
            frame = av.VideoFrame.from_ndarray(stacked, context.pix_fmt)
            frame.pts, frame.time_base = times[number] if times else number, context.time_base
            frame.colorspace, frame.color_range = colors[0], ColorRange.MPEG
            container.mux(stream.encode(prepare(frame)))
        container.mux(stream.encode())


def _marker_of_fields(
    context: av.VideoCodecContext,
) -> Callable[[av.VideoFrame], av.VideoFrame]:
    """Marks frames as two fields, the even lines first: PyAV itself cannot."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=context.width,
            height=context.height,
            format=context.format,
            time_base=context.time_base,
        ),
        graph.add("setfield", "tff"),
        graph.add("buffersink"),
    ).configure()

    def mark(frame: av.VideoFrame) -> av.VideoFrame:
        graph.push(frame)
        return graph.pull()

    return mark


def _set_matrix(
    path: pathlib.Path, matrix: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    """Writes [a b; c d] of ISO/IEC 14496-12, 8.3.2, into the only track of a file.

    Pixel (x, y), y downwards, of a stored picture of `size` (width, height) is shown at
    (a x + c y, b x + d y), moved so that no coordinate is negative.
    """
    a, b, c, d = matrix
    width, height = size
    left, top = -min(0, a * width) - min(0, c * height), -min(0, b * width) - min(0, d * height)
    rows = (a, b, 0), (c, d, 0), (left, top, 1 << 14)
    packed = struct.pack(">9i", *(_ONE * value for row in rows for value in row))
    data = bytearray(path.read_bytes())
    assert data.count(b"tkhd") == 1
    start = data.index(b"tkhd") + 44  # of version 0
    data[start : start + len(packed)] = packed
    path.write_bytes(data)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start < end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield kind, start, start + size
        start += size


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def _cover() -> bytes:
    """A grey JPEG."""
    buffer = io.BytesIO()
    width, height = _COVER_SIZE
    grey = np.full((height, width, 3), 200, np.uint8)
    av.VideoFrame.from_ndarray(grey, "rgb24").to_image().save(buffer, "JPEG")
    return buffer.getvalue()
