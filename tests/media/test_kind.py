"""A file is what its first bytes say, whatever its name says."""

import io
import os
import struct

import av
import numpy as np
import pytest
from PIL import Image

from dfjax.media import kind
from dfjax.media.errors import MediaError


def ftyp(*brands: bytes) -> bytes:
    """A box of a major brand, its version and compatible brands, and the start of the next box."""
    body = brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I4s", 8 + len(body), b"ftyp") + body + b"\0\0\0\x08heic"


def packets(length: int, *, lead: bytes = b"", count: int = 21) -> bytes:
    """A transport stream whose packets follow `lead`."""
    packet = b"\x47" + bytes(range(1, 72)) + bytes(188 - 72) + bytes(length - 188)
    return lead + packet * count


def picture(file_format: str, **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 10, 10)).save(file, file_format, **options)
    return file.getvalue()


def video(container: str, codec: str = "mpeg4", **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"])
def test_pictures_that_a_library_writes(file_format):
    assert kind.kind_of_bytes(picture(file_format)) == "image"


def test_tiff_of_either_byte_order_and_size():
    assert kind.kind_of_bytes(picture("TIFF", big_tiff=True)) == "image"
    assert kind.kind_of_bytes(b"MM\0\x2a\0\0\0\x08" + bytes(100)) == "image"
    assert kind.kind_of_bytes(b"MM\0\x2b\0\x08\0\0" + bytes(100)) == "image"


@pytest.mark.parametrize("container", ["mp4", "mov", "3gp", "3g2", "ipod", "matroska", "avi"])
def test_videos_that_a_library_writes(container):
    assert kind.kind_of_bytes(video(container)) == "video"


def test_webm_and_streams_of_mpeg_that_a_library_writes():
    assert kind.kind_of_bytes(video("webm", "libvpx")) == "video"
    assert kind.kind_of_bytes(video("mpeg", "mpeg2video")) == "video"
    stream = video("mpegts")
    assert kind.kind_of_bytes(stream) == "video"
    assert kind.kind_of_bytes(stream[100:]) == "video"  # a recording that begins within a packet
    assert kind.kind_of_bytes(video("mpegts", mpegts_m2ts_mode="1")) == "video"


@pytest.mark.parametrize("length", [188, 192, 204])
@pytest.mark.parametrize("lead", [b"", b"\0\0\0\0", b"x" * 150])
def test_packets_of_every_length_from_anywhere(length, lead):
    assert kind.kind_of_bytes(packets(length, lead=lead)) == "video"


def test_a_transport_stream_may_be_damaged_but_not_imagined():
    damaged = bytearray(packets(188))
    damaged[0] = damaged[188 * 5] = 0
    assert kind.kind_of_bytes(bytes(damaged)) == "video"
    assert kind.kind_of_bytes(packets(188, count=3)) == "video"
    for data in (packets(188, count=2), packets(190), np.random.default_rng(0).bytes(4096)):
        with pytest.raises(MediaError):
            kind.kind_of_bytes(data)


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        ((b"heic", b"mif1", b"heic"), "image"),
        ((b"mif1", b"heic", b"tmap"), "image"),
        ((b"msf1", b"hevc"), "image"),
        ((b"avis", b"msf1", b"iso8"), "image"),
        ((b"MiHE", b"mif1", b"heic"), "image"),  # a brand of the writer's own
        ((b"heic", b"mif1", b"mp42", b"isom"), "image"),  # a picture with a film in it
        ((b"isom", b"iso2", b"avc1", b"mp41"), "video"),
        ((b"mp42", b"isom", b"mif1"), "video"),  # a film with a picture in it
        ((b"qt  ",), "video"),
        ((b"3gp4", b"3gp5"), "video"),
        ((b"M4A ", b"M4A "), "video"),  # whose lack of pictures the decoder tells
        ((b"MSNV", b"MSNV", b"mp42"), "video"),
    ],
)
def test_a_box_of_brands_tells_stills_from_films(brands, expected):
    assert kind.kind_of_bytes(ftyp(*brands)) == expected


def test_brands_end_where_their_box_does():
    assert kind.kind_of_bytes(ftyp(b"abcd")) == "video"  # "heic" is in the next box
    assert kind.kind_of_bytes(b"\xff\xff\xff\xffftypabcd" + bytes(4)) == "video"
    assert kind.kind_of_bytes(b"\0\0\0\x20ftyp") == "video"


@pytest.mark.parametrize("box", [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"])
def test_old_movies_begin_with_any_box(box):
    assert kind.kind_of_bytes(struct.pack(">I4s", 8, box) + bytes(40)) == "video"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><title>Quota exceeded</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a sound"),
        (b"RIFX\0\0\0\0WEBP", "begins with the bytes 52 49 46 58"),
        (b"BMW is not a bitmap", "text"),
        (b"II is not a TIFF", "text"),
        (b"\0\0\x01\xb3" + bytes(100), "a bare MPEG video"),
        (b"FLV\x01\x05" + bytes(100), "a Flash video"),
        (bytes(3000), "begins with the bytes 00 00 00 00 00 00 00 00"),
    ],
)
def test_what_is_neither_is_said_in_words(data, words):
    with pytest.raises(MediaError, match=f"{words}.*: give JPEG, .* or MPEG-PS videos") as error:
        kind.kind_of_bytes(data)
    assert error.value.code == "unsupported"


def test_what_cannot_be_read_keeps_its_code(tmp_path):
    def code(path):
        with pytest.raises(MediaError, match=str(path)) as error:
            kind.kind_of(path)
        return error.value.code

    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    assert code(tmp_path / "missing.mp4") == "unreadable"
    assert code(tmp_path / "pipe.mp4") == "unreadable"
    assert code(tmp_path) == "unreadable"
    assert code(tmp_path / "empty.mp4") == "empty"
    assert code(tmp_path / "text.mp4") == "unsupported"
