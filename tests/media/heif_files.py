"""HEIF files written box by box, as ISO/IEC 23008-12 says, around frames that x265 coded."""

import dataclasses
import fractions
import functools
import re
import struct

import av
import numpy as np

_SETTINGS = (32, 33, 34)  # the units of HEVC that hold parameters


@dataclasses.dataclass
class Item:
    kind: bytes
    data: bytes
    properties: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    inside: bool = False  # whether its bytes are in the meta box
    hidden: bool = False


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def size(width: int, height: int) -> tuple[bytes, bytes]:
    return b"ispe", struct.pack(">III", 0, width, height)


def nclx(primaries: int, transfer: int, matrix: int, *, full: bool) -> tuple[bytes, bytes]:
    return b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full << 7)


def crop(width: int, height: int, right: int, down: int) -> tuple[bytes, bytes]:
    """A clean aperture; the shifts of its middle are in halves of a pixel."""
    return b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, right, 2, down, 2)


def grid(rows: int, columns: int, width: int, height: int) -> bytes:
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)


def write(
    items: list[Item],
    *,
    primary: int = 1,
    references: tuple[tuple[bytes, int, tuple[int, ...]], ...] = (),
    brand: bytes = b"heic",
) -> bytes:
    """Returns a file of these items, which are numbered from 1."""
    start = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    length = len(start) + len(_meta(items, primary, references, 0))
    meta = _meta(items, primary, references, length + 8)
    return start + meta + box(b"mdat", *(item.data for item in items if not item.inside))


def _meta(items, primary, references, offset) -> bytes:
    entries, places, associations, known, own_data = [], [], [], [], b""
    for number, item in enumerate(items, 1):
        name = struct.pack(">HH4sx", number, 0, item.kind)
        entries.append(full_box(b"infe", name, version=2, flags=item.hidden))
        where = len(own_data) if item.inside else offset
        places.append(struct.pack(">HHHHII", number, item.inside, 0, 1, where, len(item.data)))
        if item.inside:
            own_data += item.data
        else:
            offset += len(item.data)
        indices = []
        for one in item.properties:
            if one not in known:
                known.append(one)
            indices.append(known.index(one) + 1)
        associations.append(struct.pack(">HB", number, len(indices)) + bytes(indices))
    ipma = full_box(b"ipma", struct.pack(">I", len(items)), *associations)
    linked = [
        box(kind, struct.pack(f">HH{len(to)}H", one, len(to), *to)) for kind, one, to in references
    ]
    return full_box(
        b"meta",
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", primary)),
        full_box(b"iinf", struct.pack(">H", len(items)), *entries),
        *([full_box(b"iref", *linked)] if linked else []),
        box(b"iprp", box(b"ipco", *(box(*one) for one in known)), ipma),
        full_box(b"iloc", b"\x44\x00", struct.pack(">H", len(items)), *places, version=1),
        box(b"idat", own_data),
    )


def coded(image: np.ndarray, *extra: tuple[bytes, bytes], pixels: str = "yuv444p") -> Item:
    """An item that x265 coded from RGB, with BT.601 in the full range."""
    settings, data = _encode(image.tobytes(), image.shape, pixels)
    height, width = image.shape[:2]
    return Item(b"hvc1", data, [(b"hvcC", settings), size(width, height), *extra])


@functools.cache
def _encode(raw: bytes, shape: tuple[int, ...], pixels: str) -> tuple[bytes, bytes]:
    """The decoder configuration of ISO/IEC 14496-15, and the units of one coded picture."""
    frame = av.VideoFrame.from_ndarray(np.frombuffer(raw, np.uint8).reshape(shape), "rgb24")
    frame = frame.reformat(format=pixels, dst_colorspace="ITU601", dst_color_range="JPEG")
    encoder = av.CodecContext.create("libx265", "w")
    encoder.height, encoder.width = shape[:2]
    encoder.pix_fmt, encoder.time_base = pixels, fractions.Fraction(1, 25)
    encoder.options = {"x265-params": "log-level=none:pools=none:info=0", "crf": "4"}
    stream = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode()])
    units = [unit for unit in re.split(rb"\x00*\x00\x00\x01", stream) if unit]
    settings = [unit for unit in units if unit[0] >> 1 in _SETTINGS]
    pictures = [unit for unit in units if unit[0] >> 1 < _SETTINGS[0]]
    arrays = [struct.pack(">BHH", unit[0] >> 1, 1, len(unit)) + unit for unit in settings]
    head = b"\1" + settings[1][3:15] + bytes(8) + b"\x03" + bytes([len(arrays)])
    return head + b"".join(arrays), b"".join(
        struct.pack(">I", len(unit)) + unit for unit in pictures
    )
