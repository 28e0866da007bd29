"""Files made from sound ones by what goes wrong, and by what attackers do: each by its number."""

import dataclasses
import functools
import os
import random
import zlib
from collections.abc import Callable, Iterator, Mapping

from fuzz import structure

Change = Callable[[bytes, bytes, random.Random], bytes]  # of data; the second is another file

CHANGES: dict[str, Change] = {}
_MAX_ADDED = 2**20  # bytes that one change may add
_NUM_CHANGES = (1, 1, 1, 2, 3)
_RENAMED = 0.1  # share of files with the suffix of another kind, or none


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A file.

    Attributes:
      index: its number.
      name: its number, its material and a suffix, which may be that of another kind.
      material: the name of what it was made from.
      changes: what was done to it, in order.
      data: its bytes.
    """

    index: int
    name: str
    material: str
    changes: tuple[str, ...]
    data: bytes


def make_mutants(materials: Mapping[str, bytes], seed: int, count: int) -> Iterator[Mutant]:
    """Yields the first `count` mutants of a seed, each material as often as the others."""
    return (make_mutant(materials, seed, index) for index in range(count))


def make_mutant(materials: Mapping[str, bytes], seed: int, index: int) -> Mutant:
    """Returns a mutant, which depends on the arguments alone."""
    rng, names = random.Random(f"{seed}/{index}"), sorted(materials)
    material = names[index % len(names)]
    data, other = materials[material], materials[rng.choice(names)]
    changes = tuple(rng.choice(sorted(CHANGES)) for _ in range(rng.choice(_NUM_CHANGES)))
    for change in changes:
        data = CHANGES[change](data, other, rng)
    if rng.random() < 0.5:  # or no decoder looks behind a checksum
        data = mend_png(data)
    suffix = os.path.splitext(material)[1]
    if rng.random() < _RENAMED:
        suffix = rng.choice([*(os.path.splitext(name)[1] for name in names), ""])
    return Mutant(
        index, f"{index:05d}-{material.replace('.', '_')}{suffix}", material, changes, data
    )


def mend_png(data: bytes) -> bytes:
    """Returns a PNG file with the right checksums, any other as it is."""
    if not data.startswith(structure.PNG):
        return data
    mended = bytearray(data)
    for group in structure.siblings(data):
        for start, end in group:
            mended[end - 4 : end] = zlib.crc32(data[start + 4 : end - 4]).to_bytes(4)
    return bytes(mended)


def _change(change: Change) -> Change:
    CHANGES[change.__name__.strip("_").replace("_", " ")] = change
    return change


def _of_parts(change: Callable[[bytes, list[structure.Span], random.Random], bytes]) -> Change:
    """Makes a change of a group of parts; a file without parts loses its end."""

    @functools.wraps(change)
    def changed(data: bytes, other: bytes, rng: random.Random) -> bytes:
        groups = structure.siblings(data)
        return change(data, rng.choice(groups), rng) if groups else _truncate(data, other, rng)

    return _change(changed)


@_change
def _flip_bits(data: bytes, _: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice([1, 3, 10, 100, 1000])):
        if flipped:
            flipped[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


@_change
def _set_bytes(data: bytes, _: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 64)
    return data[:start] + rng.randbytes(end - start) + data[end:]


@_change
def _set_integer(data: bytes, _: bytes, rng: random.Random) -> bytes:
    """The numbers that sizes and counts break at."""
    start, length = _place(data, rng), rng.choice([1, 2, 4, 8])
    top = 1 << 8 * length
    near = [0, 1, -1, top // 2, top // 2 - 1, len(data), len(data) + 1, rng.randrange(top)]
    integer = (rng.choice(near) % top).to_bytes(length, rng.choice(["big", "little"]))
    return data[:start] + integer + data[start + length :]


@_change
def _truncate(data: bytes, _: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


@_change
def _delete(data: bytes, _: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, len(data))
    return data[:start] + data[end:]


@_change
def _insert(data: bytes, _: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.choice([1, 4, 100, 10_000])
    return data[:at] + rng.choice([bytes, rng.randbytes])(length) + data[at:]


@_change
def _repeat(data: bytes, _: bytes, rng: random.Random) -> bytes:
    return _repeated(data, _span(data, rng, len(data)), rng)


@_change
def _splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The start of one file and the end of another, of the same or of another kind."""
    return data[: _place(data, rng)] + other[_place(other, rng) :]


@_change
def _wrap(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One file within another."""
    at = _place(data, rng)
    return data[:at] + other + data[at:]


@_of_parts
def _swap_parts(data: bytes, parts: list[structure.Span], rng: random.Random) -> bytes:
    (a, b), (c, d) = sorted(rng.sample(parts, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


@_of_parts
def _shuffle_parts(data: bytes, parts: list[structure.Span], rng: random.Random) -> bytes:
    start, end = parts[0][0], parts[-1][1]
    shuffled = rng.sample(parts, len(parts))
    return data[:start] + b"".join(data[a:b] for a, b in shuffled) + data[end:]


@_of_parts
def _drop_part(data: bytes, parts: list[structure.Span], rng: random.Random) -> bytes:
    start, end = rng.choice(parts)
    return data[:start] + data[end:]


@_of_parts
def _repeat_part(data: bytes, parts: list[structure.Span], rng: random.Random) -> bytes:
    return _repeated(data, rng.choice(parts), rng)


@_of_parts
def _nest_part(data: bytes, parts: list[structure.Span], rng: random.Random) -> bytes:
    """A part within another of its group, or within itself."""
    (a, b), (c, d) = rng.choice(parts), rng.choice(parts)
    at = min(c + 8, d)
    return data[:at] + data[a:b] + data[at:]


@_of_parts
def _resize_part(data: bytes, parts: list[structure.Span], rng: random.Random) -> bytes:
    """Another number among the first bytes of a part, where formats state its length and kind."""
    start, _ = rng.choice(parts)
    return data[:start] + _set_integer(data[start : start + 24], b"", rng) + data[start + 24 :]


def _repeated(data: bytes, span: structure.Span, rng: random.Random) -> bytes:
    start, end = span
    times = min(rng.choice([2, 10, 1000]), 2 + _MAX_ADDED // max(1, end - start))
    return data[:start] + data[start:end] * times + data[end:]


def _place(data: bytes, rng: random.Random) -> int:
    """A position; as often as elsewhere in the first or last bytes, where formats keep tables."""
    first, last = rng.choice([(0, len(data)), (0, 600), (len(data) - 1500, len(data))])
    return rng.randrange(max(0, first), max(1, min(last, len(data))))


def _span(data: bytes, rng: random.Random, longest: int) -> structure.Span:
    """A span; short ones are as likely as long ones."""
    start = _place(data, rng)
    return start, min(len(data), start + 1 + int(longest ** rng.random()))
