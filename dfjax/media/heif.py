"""What is in a HEIF file (HEIC, AVIF): its items, of which one is the picture to show.

Boxes of ISO/IEC 14496-12 and items of ISO/IEC 23008-12. Nothing is decoded here, and nothing is
believed: counts, offsets and sizes are bounded by the bytes that are there.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from dfjax.media import limits
from dfjax.media.errors import MediaError

CODED = {b"hvc1": b"hvcC", b"av01": b"av1C"}  # kinds of items that hold pixels: their settings
GRID = b"grid"
EXIF = b"Exif"

_HIDDEN = 1  # a flag of an item's entry
_DETAILS = (b"thmb", b"auxl")  # references from what is not a picture of its own
_TO_SAMPLES = (b"mdia", b"minf", b"stbl", b"stsz")


@dataclasses.dataclass(frozen=True)
class Item:
    """One item: a coded picture, or how to make one of others.

    Attributes:
      kind: b"hvc1", b"av01", b"grid" or another four bytes.
      data: its bytes: what a decoder takes, or the measures of a grid.
      properties: (kind, body) in the order in which they apply.
      parts: numbers of the items that it is made of.
    """

    kind: bytes
    data: bytes
    properties: tuple[tuple[bytes, "Reader"], ...]
    parts: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, before it is cropped and turned."""
        for body in self.all(b"ispe"):
            body.skip(4)
            return body.number(4), body.number(4)
        raise broken("a picture has no size")

    def all(self, *kinds: bytes) -> list["Reader"]:
        """Returns the bodies of its properties of these kinds."""
        return [body.copy() for kind, body in self.properties if kind in kinds]


class Reader:
    """Numbers and boxes from a piece of a file, one after the other."""

    def __init__(self, data: bytes, start: int = 0, end: int | None = None):
        self.data, self.position = data, start
        self.end = len(data) if end is None else end

    def copy(self) -> "Reader":
        """Returns one that is at the same place, and moves on its own."""
        return Reader(self.data, self.position, self.end)

    def rest(self) -> bytes:
        """Returns all bytes that are left."""
        return self.take(self.end - self.position)

    def skip(self, count: int) -> int:
        """Returns where it was; MediaError if fewer bytes are left."""
        if count > self.end - self.position:
            raise broken("it ends too early")
        self.position += count
        return self.position - count

    def take(self, count: int) -> bytes:
        """Returns the next bytes."""
        return self.data[self.skip(count) : self.position]

    def number(self, width: int) -> int:
        """Returns the next unsigned number, which has `width` bytes; without bytes, 0."""
        return int.from_bytes(self.take(width))

    def boxes(self) -> Iterator[tuple[bytes, "Reader"]]:
        """The kind and the body of each box that is left."""
        while self.position < self.end:
            start = self.position
            size, kind = self.number(4), self.take(4)
            if size == 1:
                size = self.number(8)
            end = start + size if size else self.end
            if not self.position <= end <= self.end:
                raise broken(f"its {kind.decode('latin-1')!r} is longer than what holds it")
            yield kind, Reader(self.data, self.position, end)
            self.position = end

    def find(self, *kinds: bytes) -> dict[bytes, "Reader"]:
        """Returns the first box of each of these kinds that is there, and reads no further."""
        found = {}
        for kind, body in self.boxes():
            if kind in kinds:
                found.setdefault(kind, body)
            if len(found) == len(kinds):
                break
        return found


_EMPTY = Reader(b"")


class Heif:
    """The items of a file, by number.

    Attributes:
      primary: the number of the one to show.
      num_pictures: how many a viewer could show: of a burst or a sequence, all.
    """

    def __init__(self, data: bytes):
        """Reads the structure.

        Raises:
          MediaError: it is broken, over a limit, or has no picture to show.
        """
        self._data = data
        found = _need(Reader(data).find(b"meta"), b"meta")
        found.skip(4)
        boxes = found.find(b"pitm", b"iinf", b"iloc", b"iprp", b"iref", b"idat")
        self.primary = _primary(_need(boxes, b"pitm"))
        self._kinds, self._hidden = _entries(_need(boxes, b"iinf"))
        self._places = _places(_need(boxes, b"iloc"))
        self._properties = _properties(_need(boxes, b"iprp"))
        references = list(_references(boxes.get(b"iref", _EMPTY)))
        self._parts = {one: to for kind, one, to in references if kind == b"dimg"}
        self._details = {one for kind, one, _ in references if kind in _DETAILS}
        self._own_data = boxes.get(b"idat", _EMPTY)
        self.num_pictures = max(self._num_items(), num_samples(data))

    def __getitem__(self, number: int) -> Item:
        """The item of this number; MediaError if the file lacks it."""
        if number not in self._kinds or number not in self._places:
            raise broken("it refers to what is not there")
        properties = tuple(self._properties.get(number, ()))
        parts = self._parts.get(number, ())
        return Item(self._kinds[number], self._bytes(number), properties, parts)

    @property
    def exif(self) -> bytes | None:
        """The first item of EXIF data, behind the four bytes of its offset; None: there is none."""
        items = (number for number, kind in self._kinds.items() if kind == EXIF)
        number = next((number for number in items if number in self._places), None)
        return None if number is None else self._bytes(number)

    def _num_items(self) -> int:
        """How many items are pictures of their own: neither tiles nor thumbnails nor depth."""
        pictures = {number for number, kind in self._kinds.items() if kind in (*CODED, GRID)}
        parts = itertools.chain.from_iterable(self._parts.values())
        return len(pictures.difference(self._details, self._hidden, parts) | {self.primary})

    def _bytes(self, number: int) -> bytes:
        method, extents = self._places[number]
        if method > 1:
            raise MediaError("unsupported", "a HEIF picture made of another's bytes: convert it")
        where = self._own_data if method else Reader(self._data)
        if sum(length for _, length in extents) > len(self._data):
            raise broken("an item is longer than the file")
        pieces = []
        for offset, length in extents:
            piece = where.copy()
            piece.skip(offset)
            pieces.append(piece.take(length) if length else piece.rest())
        return b"".join(pieces)


def broken(what: str) -> MediaError:
    """Returns the error for a file whose structure makes no sense."""
    return MediaError("corrupt", f"the HEIF file is broken: {what}: save the picture again")


def has_items(data: bytes) -> bool:
    """Returns whether the file holds stills; else, a sequence may be in a track."""
    return bool(Reader(data).find(b"meta"))


def _need(boxes: dict[bytes, Reader], kind: bytes) -> Reader:
    if kind not in boxes:
        raise MediaError("unsupported", "a HEIF file without a still picture: convert it")
    return boxes[kind]


def _limit(count: int) -> int:
    if count > limits.MAX_HEIF_ITEMS:
        raise MediaError("too_large", f"over {limits.MAX_HEIF_ITEMS} HEIF items: save it again")
    return count


def _primary(box: Reader) -> int:
    version, _ = box.number(1), box.skip(3)
    return box.number(4 if version else 2)


def _entries(box: Reader) -> tuple[dict[int, bytes], set[int]]:
    """The kind of each item, and which are hidden."""
    version, _ = box.number(1), box.skip(3)
    _limit(box.number(4 if version else 2))
    kinds, hidden = {}, set()
    for _, entry in box.boxes():
        version, flags = entry.number(1), entry.number(3)
        if version < 2:
            continue
        number, _ = entry.number(4 if version > 2 else 2), entry.skip(2)
        kinds[number] = entry.take(4)
        if flags & _HIDDEN:
            hidden.add(number)
    return kinds, hidden


def _places(box: Reader) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """(method, [(offset, length)]) of each item."""
    version, _ = box.number(1), box.skip(3)
    (offset_width, length_width), (base_width, index_width) = (
        divmod(box.number(1), 16) for _ in range(2)
    )
    number_width = 4 if version == 2 else 2
    places, num_extents = {}, 0
    for _ in range(_limit(box.number(number_width))):
        number = box.number(number_width)
        method = box.number(2) & 15 if version else 0
        _, base = box.skip(2), box.number(base_width)
        extents, count = [], box.number(2)
        num_extents = _limit(num_extents + count)  # without widths, they would cost no bytes
        for _ in range(count):
            box.skip(index_width if version else 0)
            offset = base + box.number(offset_width)
            extents.append((offset, box.number(length_width)))
        places[number] = (method, extents)
    return places


def _properties(box: Reader) -> dict[int, list[tuple[bytes, Reader]]]:
    """The properties of each item, in the order in which they apply."""
    known, of_item = [], {}
    for kind, body in box.boxes():
        if kind == b"ipco":
            known = list(body.boxes())
        elif kind == b"ipma":
            for number, indices in _associations(body):
                named = (known[index - 1] for index in indices if 0 < index <= len(known))
                of_item.setdefault(number, []).extend(named)
    return of_item


def _associations(box: Reader) -> Iterator[tuple[int, list[int]]]:
    version, flags = box.number(1), box.number(3)
    width = 2 if flags & 1 else 1
    essential = 1 << (8 * width - 1)
    for _ in range(_limit(box.number(4))):
        number = box.number(4 if version else 2)
        yield number, [box.number(width) & ~essential for _ in range(box.number(1))]


def _references(box: Reader) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """(kind, number of the item that refers, numbers that it refers to)."""
    box = box.copy()
    if box.position == box.end:
        return
    version, _ = box.number(1), box.skip(3)
    width = 4 if version else 2
    for kind, body in box.boxes():
        number = body.number(width)
        yield kind, number, tuple(body.number(width) for _ in range(_limit(body.number(2))))


def num_samples(data: bytes) -> int:
    """Returns how many pictures a track has at most; 0: there is none, or its box is broken."""
    try:
        tracks = Reader(data).find(b"moov").get(b"moov", _EMPTY)
        return max((_num_samples_of(body) for kind, body in tracks.boxes() if kind == b"trak"))
    except (MediaError, ValueError):  # the items are what is shown, and are checked
        return 0


def _num_samples_of(track: Reader) -> int:
    for kind in _TO_SAMPLES:
        track = _need(track.find(kind), kind)
    track.skip(8)
    return track.number(4)
