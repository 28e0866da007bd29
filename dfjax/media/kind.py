"""What a file is, by how it begins: the one rule of the command line and of the server.

Names decide nothing here: phones, chat programs and downloads give wrong ones, and strangers choose
theirs. `media.suffix` guesses by the name where thousands of files are listed and none is opened.
Compares bytes and parses nothing, so that it may run outside the sandbox.
"""

import os
import stat

from dfjax.media.errors import MediaError

HEAD_BYTES = 4096  # enough for 21 packets of a transport stream
ACCEPTED = (
    "JPEG, PNG, WebP, BMP, GIF, TIFF, HEIC or AVIF pictures, or MP4, MOV, 3GP, MKV, WebM, AVI, "
    "MPEG-TS or MPEG-PS videos"
)

# (offset, bytes) of accepted files; two more rules need a function each.
_PICTURES = (
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF87a"),
    (0, b"GIF89a"),
    (0, b"II*\0"),  # TIFF of either byte order, and BigTIFF
    (0, b"MM\0*"),
    (0, b"II+\0"),
    (0, b"MM\0+"),
)
_VIDEOS = (
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska and WebM
    (0, b"\0\0\x01\xba"),  # MPEG-PS
)
_RIFF = {b"WEBP": "image", b"AVI ": "video", b"AVIX": "video"}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # the sizes in use: "BM" alone begins words, too
# Boxes that an MP4 or a MOV may begin with; old ones have no ftyp, and segments begin with styp.
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid")
_PICTURE_BRANDS = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 mif3 msf1 miaf avif avis".split()
)
_FILM_BRANDS = frozenset(
    [*b"isom iso2 iso3 iso4 iso5 iso6 mp41 mp42 avc1 dash".split(), b"M4V ", b"qt  "]
)
_PACKETS = (188, 192, 204)  # lengths of a packet of MPEG-TS: plain, of a camera (M2TS), with parity
_SYNC = 0x47  # in every packet, at the same place

# What people give by mistake, and formats that are not accepted, in words.
_OTHERS = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (257, b"ustar", "a tar archive"),
    (
        0,
        b"version https://git-lfs",
        "a pointer of Git LFS (git lfs pull gets the file)",
    ),
    (0, b"\0\x05\x16\x07", "metadata of macOS (AppleDouble)"),
    (0, b"FLV", "a Flash video (FLV)"),
    (0, b"\x30\x26\xb2\x75", "a Windows Media file (WMV, WMA)"),
    (0, b"OggS", "an Ogg file"),
    (0, b"\0\0\x01\xb3", "a bare MPEG video"),
    (0, b".RMF", "a RealMedia file"),
    (0, b"ID3", "a sound (MP3)"),
    *((0, bytes([0xFF, second]), "a sound (MP3 or AAC)") for second in b"\xfb\xf3\xfa\xf1\xf9"),
    (0, b"fLaC", "a sound (FLAC)"),
    (8, b"WAVE", "a sound (WAV)"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL ", "a JPEG XL picture"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"8BPS", "a Photoshop picture"),
    (0, b"FUJIFILMCCD-RAW", "a raw picture"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"#EXTM3U", "a playlist"),
)


def kind_of(path: str | os.PathLike) -> str:
    """Returns "image" or "video", by the first bytes of the file at `path`, whatever its name.

    Raises:
      MediaError: it cannot be read, is no regular file, is empty, or begins like nothing that is
        accepted (code "unsupported").
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe may never end
            raise MediaError("unreadable", f"{path}: not a regular file: give a picture or a video")
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror}: give a readable file") from error
    try:
        return kind_of_bytes(head)
    except MediaError as error:
        raise MediaError(error.code, f"{path}: {error}") from error


def kind_of_bytes(data: bytes) -> str:
    """Returns "image" or "video" for a file that begins with `data`: its first HEAD_BYTES, or all.

    Raises:
      MediaError: it is empty, or begins like nothing that is accepted (code "unsupported").
    """
    if not data:
        raise MediaError("empty", "the file has no bytes: copy or send it again")
    head = data[:HEAD_BYTES]
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if _begins(head, _PICTURES) or _is_bmp(head):
        return "image"
    if head[4:8] in _BOXES:
        return "image" if is_heif(head) else "video"
    if _begins(head, _VIDEOS) or _is_transport_stream(head):
        return "video"
    raise MediaError("unsupported", f"{_describe(head)}: give {ACCEPTED}")


def is_heif(head: bytes) -> bool:
    """Returns whether an ISO file is a picture (HEIF, AVIF): its first known brand says so.

    The major brand comes first. Writers put words of their own there, and what others can read the
    file as into the compatible brands behind it.
    """
    if head[4:8] != b"ftyp":
        return False
    end = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))]
    known = [brand for brand in brands if brand in _PICTURE_BRANDS | _FILM_BRANDS]
    return bool(known) and known[0] in _PICTURE_BRANDS


def _begins(head: bytes, signatures: tuple[tuple[int, bytes], ...]) -> bool:
    return any(head.startswith(signature, offset) for offset, signature in signatures)


def _is_bmp(head: bytes) -> bool:
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _is_transport_stream(head: bytes) -> bool:
    """Returns whether packets of one length follow each other, though a few may be damaged.

    A recording may begin within a packet.
    """
    return any(_is_sync(head[start::length]) for length in _PACKETS for start in range(length))


def _is_sync(column: bytes) -> bool:
    return len(column) > 2 and column.count(_SYNC) >= 0.8 * len(column)


def _describe(head: bytes) -> str:
    for offset, signature, words in _OTHERS:
        if head.startswith(signature, offset):
            return f"this is {words}"
    start = head.lstrip()[:100].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "this is a web page"
    if head.isascii() and b"\0" not in head:
        return "this is text"
    return f"it begins with the bytes {head[:8].hex(' ')}"
