"""Hostile files, written for each test: the repository keeps none."""

import io
import pathlib
import struct
import zlib
from collections.abc import Iterator

import av
import cv2
import numpy as np
from PIL import Image


def make_all(folder: pathlib.Path) -> dict[str, set[str]]:
    """Writes every file into `folder`; returns what may come of each: codes, or "no error"."""
    codes = {}
    for name, data, expected in (*_pictures(), *_videos(folder)):
        (folder / name).write_bytes(data)
        codes[name] = expected
    return codes


def _pictures() -> Iterator[tuple[str, bytes, set[str]]]:
    yield "huge.png", _png(30_000, 30_000, bytes(30_000 * 3_751)), {"too_large"}
    yield "lying.png", _png(30_000, 30_000, b""), {"too_large"}
    yield "lying_a_little.png", _png(8_000, 8_000, b""), {"corrupt"}
    yield "text_bomb.png", _png(8, 8, bytes(16), _zipped_text(100 * 2**20)), {"corrupt", "no error"}
    jpeg = _saved("JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    yield "scans.jpg", jpeg[:last] + jpeg[last:-2] * 2000 + jpeg[-2:], {"too_large"}
    size = jpeg.index(b"\xff\xc2") + 5
    flood = jpeg[:size] + struct.pack(">HH", 30_000, 30_000) + jpeg[size + 4 :]
    yield "flood.jpg", flood, {"too_large"}
    yield "half.jpg", jpeg[: len(jpeg) // 2], {"corrupt"}
    yield "other.jpg", _saved("PCX"), {"unsupported"}
    yield "script.png", b"<svg onload='alert(1)'/>", {"unsupported"}
    yield "nothing.png", b"", {"empty"}


def _videos(folder: pathlib.Path) -> Iterator[tuple[str, bytes, set[str]]]:
    secret = folder / "secret.ts"
    secret.write_bytes(_encoded("mpegts", "libx264", _noise(5)))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n".encode()
    for name in ("playlist.mp4", "playlist.ts", "playlist.m3u8"):
        yield name, playlist, {"corrupt", "unsupported"}
    listing = f"ffconcat version 1.0\nfile {secret}\n".encode()
    yield "listing.mkv", listing, {"corrupt", "unsupported"}
    whole = _encoded("mp4", "libx264", _noise(50))
    yield "truncated.mp4", whole[: len(whole) // 2], {"corrupt"}
    yield "flipped.mp4", _flip(whole, 500), {"corrupt", "no error"}
    yield "audio_only.mp4", _audio(), {"no_video"}
    yield "text.mp4", b"hello " * 1000, {"corrupt", "unsupported"}
    wide = _encoded("avi", "mjpeg", [np.zeros((8_000, 16_000, 3), np.uint8)])
    yield "wide.avi", wide, {"too_large"}
    # The header says 160x80, the frames say otherwise.
    sizes = struct.pack("<II", 16_000, 8_000), struct.pack("<II", 160, 80)
    yield "secretly_wide.avi", wide.replace(*sizes), {"corrupt", "too_large"}


def _png(width: int, height: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = header + extra + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _zipped_text(size: int) -> bytes:
    return _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(size), 1))


def _saved(file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    Image.fromarray(cv2.blur(noise, (9, 9))).save(buffer, file_format, **options)
    return buffer.getvalue()


def _noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 96, 128, 3), np.uint8))


def _encoded(container: str, codec: str, frames: list[np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        file.mux(stream.encode())
    return buffer.getvalue()


def _flip(data: bytes, count: int) -> bytes:
    """Changes bytes of the frames, and leaves the index at the end alone."""
    flipped, rng = bytearray(data), np.random.default_rng(0)
    for position in rng.integers(100, data.rindex(b"moov") - 4, count):
        flipped[position] ^= 0xFF
    return bytes(flipped)


def _audio() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        file.mux(stream.encode(silence))
        file.mux(stream.encode())
    return buffer.getvalue()
