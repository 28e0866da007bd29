"""OWASP's list of hostile uploads: each is judged by its content or refused, and does no more.

https://cheatsheetseries.owasp.org/cheatsheets/File_Upload_Cheat_Sheet.html and the unrestricted
file uploads that it names.
"""

import base64
import io
import json
import pathlib
import struct
import zipfile
import zlib

import pytest
from PIL import Image

from dfjax.media import image

MARK = "dfjax-upload-mark"  # in names: no file may be called so
SCRIPT = b"<script>alert(1)</script><?php system($_GET['c']); ?>"
# Backwards, or virus scanners would take this file for the test file that it is.
EICAR = rb"*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\4[PA@%P!O5X"[::-1]
XXE = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = b'<!DOCTYPE l [<!ENTITY a "lol">%s]><l>&z;</l>' % b"".join(
    b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(98, 123)
)


def archive(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, data)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """The picture with another chunk behind its header, which is 33 bytes long."""
    return png[:33] + chunk(kind, data) + png[33:]


def claiming(png: bytes, width: int, height: int) -> bytes:
    """The picture with another size in its header."""
    header = struct.pack(">II", width, height) + png[24:29]
    return png[:8] + chunk(b"IHDR", header) + png[33:]


def lottapixel(jpeg: bytes) -> bytes:
    """The picture with a header that claims 64,250 x 64,250 pixels, 12 GB."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 5] + struct.pack(">HH", 64_250, 64_250) + jpeg[at + 9 :]


def commented(jpeg: bytes, comment: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + jpeg[2:]


def with_exif(picture: bytes, text: str) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x010E] = exif[0x013B] = text  # description and artist
    Image.open(io.BytesIO(picture)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def referring(mp4: bytes, address: bytes) -> bytes:
    """The clip with its samples in another file, as the `url ` box of an mp4 may say."""
    spoiled, at = bytearray(mp4), mp4.index(b"url \0\0\0\x01") - 4
    spoiled[at : at + 12] = struct.pack(">I4sI", 12 + len(address), b"url ", 0) + address
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):  # it lies in all of these
        start = spoiled.index(kind) - 4
        size = int.from_bytes(spoiled[start : start + 4]) + len(address)
        spoiled[start : start + 4] = size.to_bytes(4)
    return bytes(spoiled)


@pytest.fixture(scope="module")
def jpeg(face) -> bytes:
    return image.encode_image(face[0], "jpeg")


def send(server, data: bytes, name: str, kind: str = "image/png"):
    """The status, the code of the error (None: a report), and the answer as text."""
    answer = server.client.post("/v1/detect", files={"file": (name, data, kind)})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    code = (answer.json()["error"] or {}).get("code")
    return answer.status_code, code, answer.text


REPORT, UNSUPPORTED, TOO_LARGE = (200, None), (415, "unsupported"), (413, "too_large")


@pytest.mark.parametrize(
    "name",
    [
        f"{MARK}.php.png",
        f"{MARK}.png.php",
        f"{MARK}.pHp5",
        f"{MARK}.php\x00.png",
        f"{MARK}.php%00.png",
        f"{MARK}.asp;.png",
        f"{MARK}.php/",
        f"{MARK}.php.",
        f"{MARK}::$DATA",
        f"../../../../../../../../../tmp/{MARK}.png",
        f"..%2f..%2ftmp%2f{MARK}.png",
        f"..\\..\\{MARK}.png",
        f"/tmp/{MARK}.png",
        f"file:///tmp/{MARK}",
        f"\\\\127.0.0.1\\share\\{MARK}",
        ".htaccess",
        "CON",
        "..",
        f"$(touch /tmp/{MARK})",
        f"`touch /tmp/{MARK}`.png",
        f"| touch /tmp/{MARK}",
        f"'; drop table jobs; -- {MARK}",
        f"=cmd|' /C {MARK}'!A0",
        f"{MARK}<img src=x onerror=alert(1)>.png",
        f"{MARK}\u202egnp.exe",
    ],
    ids=range(25),
)
def test_a_name_decides_nothing(server, picture, name):
    status, code, text = send(server, picture, name)
    assert (status, code) == REPORT, text
    for folder in ("/tmp", server.folder, pathlib.Path.cwd()):
        assert list(pathlib.Path(folder).glob(f"*{MARK}*")) == []
    assert list(server.folder.rglob(f"*{MARK}*")) == []
    assert MARK not in server.log


def test_a_long_name_is_cut_and_a_huge_one_refused(server, picture):
    _, _, text = send(server, picture, "a" * 3000)
    assert json.loads(text)["media"]["name"] == "a" * 255
    assert send(server, picture, "a" * 100_000)[:2] == (400, "bad_request")


@pytest.mark.parametrize("kind", ["text/html", "application/x-php", "video/mp4", "a" * 1000, "\t"])
@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.html"])
def test_the_type_that_a_sender_claims_decides_nothing(server, picture, name, kind):
    assert send(server, picture, name, kind)[:2] == REPORT
    assert send(server, SCRIPT, name, kind)[:2] == UNSUPPORTED


@pytest.mark.parametrize(
    "data",
    [
        SCRIPT,
        EICAR,
        b"#!/bin/sh\ntouch /tmp/" + MARK.encode(),
        b"MZ" + bytes(1000),
        b"\x7fELF" + bytes(1000),
        b"%PDF-1.7\n1 0 obj<</OpenAction 2 0 R>>",
        b"%!PS\n(%pipe%id) (w) file",
        b"\xc5\xd0\xd3\xc6" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        XXE + b"<svg>&x;</svg>",
        LAUGHS,
        b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x.php?`id`'\npop",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>",
        b"[playlist]\nFile1=http://127.0.0.1/\n",
        b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(100),
        archive(f"../../{MARK}.php", SCRIPT),
        archive("zeros", bytes(10**8)),
        zlib.compress(bytes(10**7)),
        b"\x1f\x8b\x08" + bytes(100),
        b"<?php // AddType application/x-httpd-php .png",
        b"AddType application/x-httpd-php .png\n",
    ],
    ids=range(23),
)
@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_what_is_neither_picture_nor_video_is_refused(server, data, name):
    assert send(server, data, name)[:2] == UNSUPPORTED


def test_what_only_begins_like_a_picture_is_refused(server):
    for data in (
        b"GIF89a" + bytes(20) + SCRIPT,
        b"GIF87a\x01\0\x01\0/*" + bytes(100) + b"*/=1;alert(1)",
        b"II*\0" + bytes(1000),
        b"\0\0\0\x10ftypheic\0\0\0\0" + SCRIPT,
        b"\0\0\0\x10ftypavif\0\0\0\0" + SCRIPT,
    ):
        status, _, text = send(server, data, "a.png")
        assert status in (413, 415, 422), text


def test_two_files_in_one_are_the_picture_alone(server, picture, jpeg, clip):
    jar = archive("Main.class", SCRIPT)
    for data in (
        picture + jar,
        jpeg + SCRIPT,
        clip + jar,
        commented(jpeg, SCRIPT + EICAR),
        commented(jpeg, b"*/=alert(1);/*"),
        with_chunk(picture, b"tEXt", b"Comment\0" + SCRIPT),
        with_exif(jpeg, SCRIPT.decode()),
    ):
        status, code, text = send(server, data, "a.png")
        assert (status, code) == REPORT, text
        written = json.loads(text)
        del written["evidence"]["stated"]  # which quotes what a file states, as text
        assert "alert(1)" not in json.dumps(written)
        assert "EICAR" not in json.dumps(written)


def test_floods_of_pixels_are_refused_by_their_headers(server, picture, jpeg):
    for data in (
        lottapixel(jpeg),
        claiming(picture, 64_250, 64_250),
        claiming(picture, 2**31 - 1, 1),
        b"BM" + struct.pack("<IIIIiiHHI", 100, 0, 54, 40, 64_250, 64_250, 1, 24, 0) + bytes(100),
    ):
        assert send(server, data, "a.png")[:2] == TOO_LARGE


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 10), (2**32 - 1, 2**32 - 1)])
def test_a_picture_of_no_or_of_any_size_does_not_decode(server, picture, width, height):
    assert send(server, claiming(picture, width, height), "a.png")[0] in (413, 415, 422)


def test_text_that_unpacks_to_a_thousand_times_its_size_is_no_part_of_a_picture(server, picture):
    packed = zlib.compress(bytes(2**28), 9)
    for kind, head in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"profile\0\0")):
        bomb = with_chunk(picture, kind, head + packed)
        assert len(bomb) < 2**19
        assert send(server, bomb, "a.png")[0] in (200, 422)


def test_pixels_that_unpack_to_more_than_the_header_says_are_not_unpacked(server, picture):
    header = chunk(b"IHDR", struct.pack(">II", 64, 64) + picture[24:29])
    packed = chunk(b"IDAT", zlib.compress(bytes(2**28), 9))
    bomb = picture[:8] + header + packed + chunk(b"IEND", b"")
    assert send(server, bomb, "a.png")[0] in (200, 422)


def test_a_video_does_not_open_other_files(server, clip):
    status, _, text = send(server, referring(clip, b"file:///etc/passwd\0"), "a.mp4")
    assert status in (200, 422), text
    assert "root:" not in text


def test_the_server_lives(server, picture):
    assert send(server, picture, "face.png")[:2] == REPORT
    assert server.client.get("/v2/health/ready").status_code == 200


def test_crops_are_as_strict(server):
    for data in (SCRIPT, EICAR, XXE, archive("zeros", bytes(10**6)), b"GIF89a" + bytes(100)):
        text = base64.b64encode(data).decode()
        answer = server.client.post("/v1/models/dfjax:predict", json={"instances": [{"b64": text}]})
        assert answer.status_code in (400, 415, 422), answer.text
