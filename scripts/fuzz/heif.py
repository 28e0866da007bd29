"""A writer of HEIC, for which the libraries here have none: one HEVC picture as the only item.

ISO/IEC 23008-12. The encoder's own mp4 has the picture and its `hvcC`; both go into other boxes.
"""

import io
import struct

import av
import numpy as np
from av.video.reformatter import ColorRange

# One thread: equal pictures, equal bytes. Without B-frames, or a single frame may get no time.
X265 = "log-level=none:pools=none:frame-threads=1:bframes=0"
_CODEC_TAG, _ITEM = "hvc1", 1


def write_heic(image: np.ndarray, *, crf: int = 10) -> bytes:
    """Returns a HEIC file of RGB uint8 [H, W, 3] with even sides, 4:2:0, BT.601, full range."""
    movie = _encode(image, crf)
    start = movie.index(b"hvcC") - 4
    config = movie[start : start + int.from_bytes(movie[start : start + 4])]
    start = movie.index(b"mdat") + 4
    picture = movie[start : start - 8 + int.from_bytes(movie[start - 8 : start - 4])]
    head = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    # The place of the picture follows from the length of what tells it.
    length = len(head) + len(_meta(image.shape, config, 0, len(picture)))
    return head + _meta(image.shape, config, length + 8, len(picture)) + _box(b"mdat", picture)


def _encode(image: np.ndarray, crf: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        options = {"crf": str(crf), "x265-params": X265}
        stream = container.add_stream("libx265", rate=1, options=options)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt, stream.codec_context.codec_tag = "yuv420p", _CODEC_TAG
        stream.codec_context.color_range = ColorRange.JPEG
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
        frame = frame.reformat(format="yuv420p", dst_color_range=ColorRange.JPEG)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def _meta(shape: tuple[int, ...], config: bytes, offset: int, length: int) -> bytes:
    handler = bytes(4) + b"pict" + bytes(13)
    entry = _full_box(b"infe", struct.pack(">HH4s", _ITEM, 0, b"hvc1") + b"\0", version=2)
    place = struct.pack(">BBHHHHII", 0x44, 0, 1, _ITEM, 0, 1, offset, length)
    size = _full_box(b"ispe", struct.pack(">II", shape[1], shape[0]))
    color = _box(b"colr", b"nclx" + struct.pack(">HHHB", 1, 13, 6, 0x80))
    essential = 0x80  # without its decoder's configuration, a picture is nothing
    owners = struct.pack(">IHBBBB", 1, _ITEM, 3, essential | 1, 2, 3)
    properties = _box(b"ipco", config + size + color) + _full_box(b"ipma", owners)
    return _full_box(
        b"meta",
        _full_box(b"hdlr", handler)
        + _full_box(b"pitm", struct.pack(">H", _ITEM))
        + _full_box(b"iloc", place)
        + _full_box(b"iinf", struct.pack(">H", 1) + entry)
        + _box(b"iprp", properties),
    )


def _full_box(kind: bytes, payload: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + payload)


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload
