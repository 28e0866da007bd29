"""What a file states of its making: names of programs and cameras, and times. Nothing is checked.

These are the raw texts of strangers; `evidence.stated` makes them fit to be shown.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping

from PIL import ExifTags, Image

from dfjax.media import container, heif, kind, picture_header

_MAX_STREAMS = 8
# What encoders write into the stream itself, where tools that change the container leave it.
_IN_STREAM = re.compile(rb"(?:x264 - core|x265 \(build|Lavc\d)[ -~]*")
_BEHIND_VERSION = " - H.26"  # in the words of x264 and x265
# Keys of containers, in lower case: those of QuickTime, of Android and of FFmpeg.
_MAKE = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
_MODEL = ("com.apple.quicktime.model", "com.android.model", "model")
_SOFTWARE = ("com.apple.quicktime.software", "com.android.version", "software")
_CREATED = ("com.apple.quicktime.creationdate", "creation_time", "date")
_POSITION = ("com.apple.quicktime.location.iso6709", "location", "location-eng", "xyz")
_EXIF_START = 4  # bytes that say how far into a HEIF item the EXIF data lie


@dataclasses.dataclass(frozen=True)
class Tags:
    """What a file states; None or empty: it states none.

    Attributes:
      format: of the file, as "JPEG" or "QuickTime / MOV".
      codec, profile: of the film, as "h264" and "High".
      encoders: programs that wrote the container, the stream or the picture.
      handlers: names of the streams' handlers.
      created: when a video was made.
      make, model: of a camera or a phone.
      software: its version, or the program that saved the picture last.
      taken: when a picture was taken.
      has_position: whether it says where; the position itself is not read.
    """

    format: str | None = None
    codec: str | None = None
    profile: str | None = None
    encoders: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    created: str | None = None
    make: str | None = None
    model: str | None = None
    software: str | None = None
    taken: str | None = None
    has_position: bool = False


def read(path: str | os.PathLike) -> Tags:
    """Returns what the picture or video at `path`, which decodes, states of its making.

    Raises:
      MediaError: it does not decode.
    """
    return _of_picture(path) if kind.kind_of(path) == "image" else _of_video(path)


def _of_picture(path: str | os.PathLike) -> Tags:
    data = pathlib.Path(path).read_bytes()
    if kind.is_heif(data[: kind.HEAD_BYTES]):
        exif = Image.Exif()
        if stored := _heif_exif(data):
            exif.load(stored)
        return _of_exif(exif, format="AVIF" if b"avif" in data[:64] else "HEIF")
    with picture_header.opened(data) as header:
        told = (header.info.get(key) for key in ("Software", "comment"))
        encoders = tuple(_text(value) for value in told if isinstance(value, str | bytes))
        return _of_exif(header.getexif(), format=header.format, encoders=encoders)


def _heif_exif(data: bytes) -> bytes | None:
    if not heif.has_items(data):
        return None
    stored = heif.Heif(data).exif
    if stored is None:
        return None
    return stored[_EXIF_START + int.from_bytes(stored[:_EXIF_START]) :]


def _of_exif(exif: Image.Exif, **stated: object) -> Tags:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    base = ExifTags.Base
    return Tags(
        make=_text(exif.get(base.Make)),
        model=_text(exif.get(base.Model)),
        software=_text(exif.get(base.Software)),
        taken=_text(details.get(base.DateTimeOriginal)),
        has_position=ExifTags.IFD.GPSInfo in exif,
        **stated,
    )


def _of_video(path: str | os.PathLike) -> Tags:
    with container.open_container(path) as opened:
        film = container.choose_film(opened, path)
        decoder = film.codec_context
        of_file = _lowered(opened.metadata)
        of_streams = [_lowered(stream.metadata) for stream in list(opened.streams)[:_MAX_STREAMS]]
        first = next((bytes(packet) for packet in opened.demux(film)), b"")
        in_stream = [
            found[0].decode("ascii").partition(_BEHIND_VERSION)[0]
            for found in map(_IN_STREAM.search, (decoder.extradata or b"", first))
            if found
        ]
        encoders = [tags.get("encoder") for tags in (of_file, *of_streams)]
        return Tags(
            format=opened.format.long_name,
            codec=decoder.codec.canonical_name,
            profile=decoder.profile,
            encoders=tuple(filter(None, [*encoders, *in_stream])),
            handlers=tuple(filter(None, (tags.get("handler_name") for tags in of_streams))),
            created=_first(_CREATED, of_file, *of_streams),
            make=_first(_MAKE, of_file),
            model=_first(_MODEL, of_file),
            software=_first(_SOFTWARE, of_file),
            has_position=_first(_POSITION, of_file, *of_streams) is not None,
        )


def _lowered(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in metadata.items()}


def _first(keys: tuple[str, ...], *tags: Mapping[str, str]) -> str | None:
    return next((each[key] for key in keys for each in tags if key in each), None)


def _text(value: object) -> str | None:
    """A tag of EXIF as text: its bytes end at the first zero."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return None if value is None else str(value).partition("\0")[0].strip() or None
