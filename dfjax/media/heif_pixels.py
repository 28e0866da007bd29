"""HEIF pictures (HEIC, AVIF) to RGB: coded pieces put together, cropped and turned.

FFmpeg decodes the pieces, as it does those of videos. libheif and libde265 could do all of it, but
start threads, which the sandbox forbids.
"""

import io
import math

import av
import numpy as np
from PIL import Image

from dfjax.media import color, heif, limits, picture, profile
from dfjax.media.errors import MediaError
from dfjax.media.heif import Heif, Item

_DECODERS = {b"hvc1": "hevc", b"av01": "libdav1d"}
_SPARE = 64  # pixels by which a coded side may be longer: the largest block of HEVC
_AV1_FRAMES = (3, 6)  # units that begin a frame
_MAX_AV1_FRAMES = 8  # as many layers as a picture may have, and to spare
_UNSPECIFIED, _BT601 = 2, 6  # ITU-T H.273


def read(data: bytes) -> picture.Picture:
    """Returns the primary picture of a HEIF file.

    Raises:
      MediaError: it is broken, over a limit, or of a kind that is not read.
    """
    if not heif.has_items(data):
        return _read_track(data)
    file = Heif(data)
    primary = file[file.primary]
    _check_size(*primary.size)
    pieces = [primary]
    if primary.kind == heif.GRID:
        pieces = [file[number] for number in primary.parts]
        _check_grid(primary, pieces)
    if sum(len(piece.data) for piece in pieces) > len(data):
        raise heif.broken("its pieces are longer than the file")
    icc = _icc_profile(primary) or _icc_profile(pieces[0])
    image, unknown = _join(primary, pieces, has_profile=icc is not None)
    image = _turned(image, primary)
    image, warnings = _apply_profile(image, icc)
    return picture.Picture(image, warnings + _named(unknown) + picture.left_out(file.num_pictures))


def _read_track(data: bytes) -> picture.Picture:
    """The first frame of a sequence that has no picture beside its track."""
    try:
        with av.open(io.BytesIO(data), format="mov") as container:
            stream = container.streams.video[0]
            _check_size(stream.width, stream.height)
            decoder = stream.codec_context
            decoder.thread_count = 1
            max_pixels = (stream.width + _SPARE) * (stream.height + _SPARE)
            decoder.options = {"max_pixels": str(max_pixels), "err_detect": "explode"}
            frame = next(container.decode(stream))
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise heif.broken("neither a picture nor a frame decodes") from error
    image, unknown = _to_rgb(frame)
    image = np.ascontiguousarray(np.rot90(image, frame.rotation // 90))
    return picture.Picture(image, _named(unknown) + picture.left_out(heif.num_samples(data)))


def _named(unknown: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"its {what} cannot be converted: its colors are off" for what in unknown)


def _check_size(width: int, height: int) -> None:
    if width * height > limits.MAX_PIXELS:
        raise MediaError(
            "too_large", f"{width}x{height} is over {limits.MAX_PIXELS} pixels: scale it down"
        )
    if not width * height:
        raise heif.broken("it has no pixels")


def _check_grid(grid: Item, tiles: list[Item]) -> None:
    """Refuses tiles that differ, or that are more or less than what covers the picture."""
    rows, columns, width, height = _measures(grid)
    if (width, height) != grid.size or len(tiles) != rows * columns:
        raise heif.broken("its grid contradicts itself")
    sizes = {tile.size for tile in tiles}
    tile_width, tile_height = sizes.pop()
    if sizes or not tile_width * tile_height:
        raise heif.broken("its tiles differ in size")
    if (-(-height // tile_height), -(-width // tile_width)) != (rows, columns):
        raise heif.broken("its tiles do not cover it")


def _measures(grid: Item) -> tuple[int, int, int, int]:
    """Rows, columns, width and height."""
    body = heif.Reader(grid.data)
    _, flags = body.number(1), body.number(1)
    rows, columns = body.number(1) + 1, body.number(1) + 1
    width = 4 if flags & 1 else 2
    return rows, columns, body.number(width), body.number(width)


def _icc_profile(item: Item) -> bytes | None:
    for body in item.all(b"colr"):
        if body.take(4) in (b"prof", b"rICC"):
            return body.rest()
    return None


def _apply_profile(image: np.ndarray, icc: bytes | None) -> tuple[np.ndarray, tuple[str, ...]]:
    is_gray = icc is not None and icc[16:20] == b"GRAY" and not np.ptp(image, axis=2).any()
    conversion, warnings = profile.find_conversion("L" if is_gray else "RGB", icc)
    if conversion is None:
        return image, warnings
    return conversion.apply(Image.fromarray(image[..., 0] if is_gray else image)), warnings


def _join(
    primary: Item, pieces: list[Item], *, has_profile: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The picture as coded, and what of its colors is unknown."""
    width, height = primary.size
    canvas, unknown = np.empty((height, width, 3), np.uint8), ()
    tile_width, tile_height = pieces[0].size
    columns = -(-width // tile_width)
    for index, piece in enumerate(pieces):
        frame = _decode(piece)
        _describe(frame, primary, piece, has_profile=has_profile)
        pixels, unknown = _to_rgb(frame)
        top, left = index // columns * tile_height, index % columns * tile_width
        place = canvas[top : top + tile_height, left : left + tile_width]
        place[:] = pixels[: place.shape[0], : place.shape[1]]
    return canvas, unknown


def _decode(item: Item) -> av.VideoFrame:
    """The frame of a coded item, at least as large as its file says."""
    if item.kind not in _DECODERS:
        name = item.kind.decode("latin-1")
        raise MediaError("unsupported", f"a HEIF picture coded as {name!r}: convert it")
    (width, height), settings = item.size, item.all(heif.CODED[item.kind])
    decoder = av.Codec(_DECODERS[item.kind], "r").create()
    decoder.thread_count = 1
    decoder.extradata = settings[0].rest() if settings else None
    if item.kind == b"av01" and _num_av1_frames(item.data) > _MAX_AV1_FRAMES:
        raise MediaError("too_large", "an AV1 picture of too many frames: save it again")
    max_pixels = (width + _SPARE) * (height + _SPARE)
    decoder.options = {"max_pixels": str(max_pixels), "err_detect": "explode"}
    try:
        frames = [*decoder.decode(av.Packet(item.data)), *decoder.decode(None)]
    except (av.FFmpegError, ValueError) as error:
        raise heif.broken("a part does not decode") from error
    if not frames or frames[0].width < width or frames[0].height < height:
        raise heif.broken("a part is not of the size that it should have")
    return frames[0]


def _num_av1_frames(data: bytes) -> int:
    """Counts the frames in a piece of AV1: the decoder would decode them all."""
    reader, frames = heif.Reader(data), 0
    while reader.position < reader.end:
        head = reader.number(1)
        reader.skip(1 if head & 4 else 0)  # the layer
        frames += head >> 3 & 15 in _AV1_FRAMES
        if not head & 2:  # without a length, it is the last
            break
        length = 0
        for shift in range(0, 56, 7):
            byte = reader.number(1)
            length |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        reader.skip(length)
    return frames


def _describe(frame: av.VideoFrame, primary: Item, piece: Item, *, has_profile: bool) -> None:
    """Gives a frame the color coding that the file names; that of a profile comes later."""
    for body in [*primary.all(b"colr"), *piece.all(b"colr")]:
        if body.take(4) == b"nclx":
            frame.color_primaries, frame.color_trc = body.number(2), body.number(2)
            frame.colorspace = body.number(2)
            frame.color_range = 2 if body.number(1) & 0x80 else 1
            break
    if frame.colorspace == _UNSPECIFIED:
        frame.colorspace = _BT601  # whatever the size, unlike in a video
    if has_profile:
        frame.color_primaries = frame.color_trc = _UNSPECIFIED


def _to_rgb(frame: av.VideoFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    try:
        return color.to_rgb(frame)
    except (OSError, ValueError) as error:  # a coding that FFmpeg's scaler does not know
        raise MediaError("unsupported", "a HEIF picture of unknown colors: convert it") from error


def _turned(image: np.ndarray, item: Item) -> np.ndarray:
    """The picture cropped, turned and mirrored, in the order that the file says."""
    for kind, body in item.properties:
        if kind in _CHANGES:
            image = _CHANGES[kind](image, body.copy())
    return np.ascontiguousarray(image)


def _crop(image: np.ndarray, body: heif.Reader) -> np.ndarray:
    """The clean aperture: width, height, and how far its middle is from that of the picture."""
    (width, height), (right, down) = (
        [_fraction(body, signed=signed) for _ in range(2)] for signed in (False, True)
    )
    left = (image.shape[1] - width) / 2 + right
    top = (image.shape[0] - height) / 2 + down
    cropped = image[_span(top, height, image.shape[0]), _span(left, width, image.shape[1])]
    if not cropped.size:
        raise heif.broken("its crop lies outside of it")
    return cropped


def _span(start: float, length: float, end: int) -> slice:
    first = math.floor(start)
    return slice(max(0, first), min(end, first + round(length)))


def _fraction(body: heif.Reader, *, signed: bool) -> float:
    above = int.from_bytes(body.take(4), signed=signed)
    below = body.number(4)
    if not below:
        raise heif.broken("its crop makes no sense")
    return above / below


def _turn(image: np.ndarray, body: heif.Reader) -> np.ndarray:
    return np.rot90(image, body.number(1) & 3)  # against the clock


def _mirror(image: np.ndarray, body: heif.Reader) -> np.ndarray:
    return image[:, ::-1] if body.number(1) & 1 else image[::-1]


_CHANGES = {b"clap": _crop, b"irot": _turn, b"imir": _mirror}
