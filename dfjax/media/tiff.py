"""What a TIFF says of itself, checked before a decoder believes it.

Pillow reads every tag's values as it opens a file, as often as tags point to the same bytes, and
libtiff allocates what a tile claims.
"""

import contextlib
import dataclasses
import struct

from dfjax.media import limits
from dfjax.media.errors import MediaError

_MAX_TAGS = 1000  # of a page; cameras and scanners write up to 100
_MAX_PAGES = 1000  # that are counted
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}  # of one value of each type, in bytes
_KIND, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 258, 259, 262
_PLANES = 284
_STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _FORMAT = 273, 322, 323, 324, 339
_DIRECTORIES = (34665, 34853, 40965)  # of camera, place and compatibility: read with the page
_REDUCED = 1  # a bit of a page's kind: a thumbnail
_YCBCR, _SEPARATE = 6, 2
_UNSIGNED = 1  # the format of samples that are numbers from 0
# None, CCITT (three), LZW, JPEG (two), Deflate, PackBits, Deflate, Zstandard.
_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 50000)


@dataclasses.dataclass(frozen=True)
class Tiff:
    """The first page, and how many follow.

    Attributes:
      bits: of a sample.
      is_inverted: whether 0 is white.
      num_pages: thumbnails left out; of more than a thousand, a thousand.
    """

    bits: int
    is_inverted: bool
    num_pages: int


def read(data: bytes) -> Tiff:
    """Returns what a TIFF says of itself.

    Raises:
      MediaError: it is broken, over a limit, or of a kind that is not read.
    """
    try:
        return _read(data)
    except struct.error as error:
        raise _broken("it ends too early") from error


def _read(data: bytes) -> Tiff:
    layout = _Layout(data)
    tags, position = layout.page(layout.first)
    layout.check_inner(tags)
    bits = tags.get(_BITS, 1)
    if tags.get(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise MediaError("unsupported", "a TIFF of a rare compression: save it with LZW or without")
    if tags.get(_PHOTOMETRIC) == _YCBCR and tags.get(_COMPRESSION, 1) == 1:
        raise MediaError("unsupported", "a TIFF of YCbCr without compression: save it as RGB")
    if tags.get(_PLANES) == _SEPARATE and bits > 8:  # Pillow would read them as 8 bits
        raise MediaError("unsupported", "a 16-bit TIFF of separate planes: save it interleaved")
    if tags.get(_FORMAT, _UNSIGNED) != _UNSIGNED or bits > 16:
        raise MediaError("unsupported", "a TIFF of measurements: save it with 8 or 16 bits a color")
    if tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0) > limits.MAX_PIXELS:
        raise MediaError("too_large", f"tiles of over {limits.MAX_PIXELS} pixels: save it again")
    return Tiff(bits, tags.get(_PHOTOMETRIC) == 0, layout.count(position))


class _Layout:
    """Reads pages of either byte order, plain or BigTIFF."""

    def __init__(self, data: bytes):
        self._data = data
        order = "<" if data[:2] == b"II" else ">"
        self._is_big = struct.unpack_from(f"{order}H", data, 2) == (43,)
        place, count = ("Q", "Q") if self._is_big else ("L", "H")
        self._place, self._count = struct.Struct(order + place), struct.Struct(order + count)
        self._entry = struct.Struct(f"{order}HH{place}")  # tag, type, number of values
        self._room = self._place.size  # for values that need no other place
        self._values = {3: struct.Struct(f"{order}H"), 4: struct.Struct(f"{order}L")}
        (self.first,) = self._place.unpack_from(data, 8 if self._is_big else 4)

    def page(self, position: int) -> tuple[dict[int, int], int]:
        """The first value of each tag that has numbers, and where the next page is; 0: nowhere."""
        (count,) = self._count.unpack_from(self._data, position)
        if count > _MAX_TAGS:
            raise MediaError("too_large", f"a TIFF with over {_MAX_TAGS} tags: save it again")
        position += self._count.size
        tags, num_bytes = {}, 0
        for _ in range(count):
            tag, value, size = self._tag(position)
            tags.setdefault(tag, value)
            num_bytes += size
            position += self._entry.size + self._room
        if num_bytes > len(self._data):
            raise _broken("its tags have more bytes than the file")
        return tags, self._place.unpack_from(self._data, position)[0]

    def check_inner(self, tags: dict[int, int]) -> None:
        """Refuses directories within a page that would cost more than the page may."""
        inner = [tags[tag] for tag in _DIRECTORIES if tag in tags]
        for position in inner[: len(_DIRECTORIES)]:
            with contextlib.suppress(struct.error):  # Pillow passes over what is not there
                found, _ = self.page(position)
                inner += [found[tag] for tag in _DIRECTORIES if tag in found]

    def _tag(self, position: int) -> tuple[int, int, int]:
        """A tag, its first value and the bytes of all."""
        tag, kind, count = self._entry.unpack_from(self._data, position)
        size = _SIZES.get(kind, 1) * count
        if tag in (_STRIPS, _TILES) and count > limits.MAX_TILES:
            raise MediaError("too_large", f"over {limits.MAX_TILES} TIFF tiles: save it again")
        place = position + self._entry.size
        if size > self._room:
            (place,) = self._place.unpack_from(self._data, place)
        if kind not in self._values or not count:
            return tag, 0, size
        return tag, self._values[kind].unpack_from(self._data, place)[0], size

    def count(self, position: int) -> int:
        """How many pages there are, when the second is at `position`; thumbnails do not count."""
        seen, num_pages = {self.first}, 1
        while position and position not in seen and num_pages < _MAX_PAGES:
            seen.add(position)
            try:
                tags, position = self.page(position)
            except (struct.error, MediaError):  # what is not shown need not be whole
                break
            num_pages += not tags.get(_KIND, 0) & _REDUCED
        return num_pages


def _broken(what: str) -> MediaError:
    return MediaError("corrupt", f"the TIFF is broken: {what}: save the picture again")
