"""The bytes that honest clients send, and large files that are small on the wire."""

import dataclasses
import itertools
import pathlib
import struct
import zlib

import numpy as np

from dfjax.corpora.synthetic import corpus
from dfjax.media import image, video

_PEOPLE, _FRAMES = (3, 8, 14), 12
_WIDE = (4096, 2304)  # a frame of the largest videos that are accepted


@dataclasses.dataclass(frozen=True)
class Materials:
    """Files of drawn people, crops for the model, and bombs.

    Attributes:
      pictures, clips: PNG and mp4 files, each shows one face.
      crops: uint8 [8, S, S, 3].
      bombs: files by name that decode to far more than they weigh.
    """

    pictures: list[bytes]
    clips: list[bytes]
    crops: np.ndarray
    bombs: dict[str, bytes]


def make_materials(size: int, folder: pathlib.Path) -> Materials:
    """Returns the same bytes every time; crops are `size` pixels wide. `folder` is for drafts."""
    people = [corpus.film(corpus.Settings(frames=_FRAMES), person, 0).frames for person in _PEOPLE]
    wide = itertools.repeat(np.zeros((_WIDE[1], _WIDE[0], 3), np.uint8), 8)
    return Materials(
        pictures=[image.encode_image(frames[0], "png") for frames in people],
        clips=[_encode(frames, folder) for frames in people],
        crops=np.random.default_rng(0).integers(0, 256, (8, size, size, 3), np.uint8),
        bombs={
            "flat.png": image.encode_image(np.zeros((4000, 4000, 3), np.uint8), "png"),
            "huge.png": _png_of(60_000, 60_000),
            "wide.mp4": _encode(wide, folder),
        },
    )


def renamed(data: bytes, number: int) -> bytes:
    """Returns the same picture or video in a file that no other client sends.

    What is added is an mp4 box that players skip; in a PNG it stands behind the end.
    """
    return data + struct.pack(">I4sQ", 16, b"free", number)


def _encode(frames: object, folder: pathlib.Path) -> bytes:
    path = folder / "draft.mp4"
    video.write_video(path, frames, fps=25, crf=30)
    data = path.read_bytes()
    path.unlink()
    return data


def _png_of(width: int, height: int) -> bytes:
    """A PNG file whose header promises more pixels than its data hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
