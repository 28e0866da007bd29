"""The parts of a media file: boxes, elements, chunks, segments, packets and entries, side by side.

Reads what the file claims, as far as it makes sense: mutants are taken apart, too.
"""

from collections.abc import Callable, Iterator

Span = tuple[int, int]  # of bytes: start, end
Part = tuple[Span, Span | None]  # itself, and what in it has parts of its own
Split = Callable[[bytes, Span], Iterator[Part]]

PNG = b"\x89PNG\r\n\x1a\n"
_BOXES_OF_BOXES = {
    *(b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"mvex"),
    *(b"moof", b"traf", b"iprp", b"ipco", b"ilst", b"meta"),
}
# Segment, SeekHead, Info, Tracks, TrackEntry, Video, Cluster, BlockGroup, Cues, CuePoint, Tags
_MASTERS = {
    *(b"\x18\x53\x80\x67", b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b"),
    *(b"\xae", b"\xe0", b"\x1f\x43\xb6\x75", b"\xa0", b"\x1c\x53\xbb\x6b", b"\xbb"),
    b"\x12\x54\xc3\x67",
}
_TS_PACKET, _TIFF_ENTRY = 188, 12
_MAX_DEPTH, _MAX_PARTS = 8, 2000


def siblings(data: bytes) -> list[list[Span]]:
    """Returns the groups of parts that stand side by side; none in a format without parts."""
    if data[4:8] == b"ftyp":
        groups = list(_nested(data, (0, len(data)), _boxes))
    elif data[:4] == b"\x1a\x45\xdf\xa3":
        groups = list(_nested(data, (0, len(data)), _elements))
    elif data[:4] == b"RIFF":
        groups = list(_nested(data, (12, len(data)), _riff_chunks))
    else:
        groups = [list(_flat(data))]
    return [group[:_MAX_PARTS] for group in groups if len(group) > 1]


def _flat(data: bytes) -> Iterator[Span]:
    if data.startswith(PNG):
        return _png_chunks(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg_segments(data)
    if data.startswith(b"\x47"):
        return _steps(0, len(data), _TS_PACKET)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff_entries(data)
    return iter(())


def _nested(data: bytes, span: Span, split: Split, depth: int = 0) -> Iterator[list[Span]]:
    """The parts of `span`, then those of its parts."""
    parts = list(split(data, span))
    yield [part for part, _ in parts]
    if depth < _MAX_DEPTH:
        for _, inside in parts:
            if inside:
                yield from _nested(data, inside, split, depth + 1)


def _boxes(data: bytes, span: Span) -> Iterator[Part]:
    start, end = span
    while start + 8 <= end:
        size, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        stop = start + size if 8 <= size <= end - start else end
        head = 12 if kind == b"meta" else 8  # a version and flags, too
        yield (start, stop), (start + head, stop) if kind in _BOXES_OF_BOXES else None
        start = stop


def _elements(data: bytes, span: Span) -> Iterator[Part]:
    start, end = span
    while start < end:
        body = start + _vint_length(data[start])
        name = data[start:body]
        if body >= end:
            return
        length = _vint_length(data[body])
        mask = (1 << 7 * length) - 1
        size, body = int.from_bytes(data[body : body + length]) & mask, body + length
        stop = body + size if size < mask and body + size <= end else end
        yield (start, stop), (body, stop) if name in _MASTERS else None
        start = stop


def _vint_length(first: int) -> int:
    """Bytes of a number of EBML (RFC 8794) that begins with this one."""
    return 9 - first.bit_length() if first else 8


def _riff_chunks(data: bytes, span: Span) -> Iterator[Part]:
    start, end = span
    while start + 8 <= end:
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        stop = min(start + 8 + size + size % 2, end)
        yield (start, stop), (start + 12, stop) if data[start : start + 4] == b"LIST" else None
        start = stop


def _png_chunks(data: bytes) -> Iterator[Span]:
    start = len(PNG)
    while start + 12 <= len(data):
        stop = min(start + 12 + int.from_bytes(data[start : start + 4]), len(data))
        yield start, stop
        start = stop


def _jpeg_segments(data: bytes) -> Iterator[Span]:
    start = 2
    while start + 4 <= len(data) and data[start] == 0xFF:
        stop = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if data[start + 1] == 0xDA:  # the coded picture has no length: up to the next scan or end
            found = [data.find(marker, stop) for marker in (b"\xff\xc4", b"\xff\xda", b"\xff\xd9")]
            stop = min((place for place in found if place > 0), default=len(data))
        yield start, min(stop, len(data))
        start = stop


def _tiff_entries(data: bytes) -> Iterator[Span]:
    order = "little" if data[:1] == b"I" else "big"
    start = int.from_bytes(data[4:8], order)
    count = int.from_bytes(data[start : start + 2], order)
    end = min(start + 2 + count * _TIFF_ENTRY, len(data))
    return _steps(start + 2, end, _TIFF_ENTRY)


def _steps(start: int, end: int, step: int) -> Iterator[Span]:
    return ((at, at + step) for at in range(start, end - step + 1, step))
