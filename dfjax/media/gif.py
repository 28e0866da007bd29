"""How many frames a GIF has, found without decoding one."""

_MAX_BLOCKS = 1_000_000  # that are looked at: as many as the largest file needs; half a second
_EXTENSION, _IMAGE = b"\x21", b"\x2c"


def num_frames(data: bytes) -> int:
    """Returns the number of frames of a GIF, as far as it is whole."""
    blocks, position, frames = 0, 13 + _table_size(data[10:11]), 0
    while blocks < _MAX_BLOCKS:
        kind = data[position : position + 1]
        if kind == _IMAGE:
            frames += 1
            position += 11 + _table_size(data[position + 9 : position + 10])
        elif kind == _EXTENSION:
            position += 2
        else:  # the end, or none
            break
        while length := int.from_bytes(data[position : position + 1]):
            position, blocks = position + 1 + length, blocks + 1
        position, blocks = position + 1, blocks + 1
    return frames


def _table_size(flags: bytes) -> int:
    """Bytes of the color table that follows; its flags are at the end of what comes before."""
    packed = int.from_bytes(flags)
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0
