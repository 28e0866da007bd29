"""What a picture file says of itself, checked before pixels are allocated.

Pillow reads headers. OpenCV and Pillow allocate what a header claims before they read on: 875 kB of
PNG can ask for 5 GB.
"""

import dataclasses
import io
import re
import warnings

from PIL import Image

from dfjax.media import gif, limits, tiff
from dfjax.media.errors import MediaError

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_START = b"\x89PNG\r\n\x1a\n"
# The markers libjpeg acts on. All but SOI (D8) and EOI (D9) are followed by a length.
_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xef\xfe])")
_MULTI_FRAME = "Multi-Frame Image"  # of an MPO: neither previews nor gain maps


@dataclasses.dataclass(frozen=True)
class Header:
    """What matters for decoding.

    Attributes:
      format: "JPEG", "PNG", "WEBP", "BMP", "GIF" or "TIFF".
      mode: Pillow's name for the kind of pixels.
      profile: an ICC profile, or None.
      coding: of a PNG that names one: primaries and transfer, in the numbers of ITU-T H.273.
      gamma: of a PNG that states one, and neither a profile nor a coding.
      num_pictures: how many pictures a viewer could show.
      tiff: more of a TIFF, or None.
    """

    format: str
    mode: str
    profile: bytes | None
    coding: tuple[int, int] | None
    gamma: float | None
    num_pictures: int
    tiff: tiff.Tiff | None


def read(data: bytes) -> Header:
    """Returns the header of a picture that may be decoded.

    Raises:
      MediaError: the bytes are empty, of another format, broken, or too costly to decode.
    """
    directory = tiff.read(data) if data.startswith(_TIFF_STARTS) else None
    chunks = _png_chunks(data) if data.startswith(_PNG_START) else {}
    with opened(data) as header:
        width, height = header.size
        if width * height > limits.MAX_PIXELS:
            raise MediaError(
                "too_large",
                f"{width}x{height} is over {limits.MAX_PIXELS} pixels: scale it down",
            )
        if header.format in ("JPEG", "MPO") and _num_jpeg_scans(data) > limits.MAX_JPEG_SCANS:
            raise MediaError("too_large", f"over {limits.MAX_JPEG_SCANS} JPEG scans: save it again")
        coding = tuple(chunks[b"cICP"][:2]) if len(chunks.get(b"cICP", b"")) == 4 else None
        return Header(
            "JPEG" if header.format == "MPO" else header.format,
            header.mode,
            header.info.get("icc_profile"),
            coding,
            None if b"sRGB" in chunks else header.info.get("gamma"),
            directory.num_pages if directory else _num_pictures(header, data),
            directory,
        )


def opened(data: bytes) -> Image.Image:
    """Returns a picture of which the header was read, and no pixel; raises as `read`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our limits are lower, and broken tags are not read
            return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.UnidentifiedImageError as error:
        if data.startswith(_TIFF_STARTS):
            message = "a broken TIFF, or one of a rare kind: save it with 8 bits a color"
            raise MediaError("unsupported", message) from error
        message = "not a JPEG, PNG, WebP, BMP, GIF, TIFF, HEIC or AVIF: convert it"
        raise MediaError("unsupported", message) from error
    except Image.DecompressionBombError as error:
        raise MediaError("too_large", f"over {limits.MAX_PIXELS} pixels: scale it down") from error
    except Exception as error:  # on hostile bytes Pillow raises half a dozen types
        raise MediaError("corrupt", "the header is broken: save the picture again") from error


def _num_pictures(header: Image.Image, data: bytes) -> int:
    if header.format == "GIF":
        return gif.num_frames(data)
    if header.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in header.mpinfo[0xB002]]
        return 1 + sum(kind.startswith(_MULTI_FRAME) for kind in kinds[1:])
    return getattr(header, "n_frames", 1)


def _num_jpeg_scans(data: bytes) -> int:
    """Counts scans as libjpeg does; a plain search would also count thumbnails and trailers."""
    num_scans, position = 0, 2
    while match := _JPEG_MARKER.search(data, position):
        marker, position = match[1], match.end()
        if marker == b"\xd9":
            break
        if marker != b"\xd8":
            position += int.from_bytes(data[position : position + 2])
        num_scans += marker == b"\xda"
    return num_scans


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The first bytes of each kind of chunk.

    OpenCV allocates what a chunk claims, up to 4 GB, before it notices that the data ends.
    """
    position, chunks = 8, {}
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        kind = data[position + 4 : position + 8]
        chunks.setdefault(kind, data[position + 8 : position + 8 + min(length, 4)])
        position += 12 + length
        if kind == b"IEND":
            break
    if position > len(data):
        message = "a PNG chunk is longer than the file: save the picture again"
        raise MediaError("corrupt", message)
    return chunks
