"""HEIC and AVIF come out as viewers show them: pieces joined, cropped, turned, in sRGB."""

import contextlib
import io
import struct
import time

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dfjax.media import heif, video
from dfjax.media import image as image_lib
from dfjax.media.errors import MediaError
from tests.media import heif_files
from tests.media.heif_files import Item

FULL = heif_files.nclx(1, 13, 6, full=True)
AROUND = 6  # of 255: what x265 and the rounding of YCbCr may change


def scene(height: int = 128, width: int = 128) -> np.ndarray:
    """Soft colors, all different: every shift, turn and exchange of parts shows."""
    noise = np.random.default_rng(0).integers(40, 216, (4, 4, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)


def tiled(image: np.ndarray, width: int, height: int, *changes) -> bytes:
    """A grid of 2x2 tiles of which the right and the lower ones reach over the edge."""
    tiles = [
        heif_files.coded(np.ascontiguousarray(image[top : top + 64, left : left + 64]), FULL)
        for top in (0, 64)
        for left in (0, 64)
    ]
    properties = [heif_files.size(width, height), *changes]
    grid = Item(b"grid", heif_files.grid(2, 2, width, height), properties, inside=True)
    return heif_files.write([grid, *tiles], references=((b"dimg", 1, (2, 3, 4, 5)),))


def assert_close(got: np.ndarray, want: np.ndarray, within: int = AROUND) -> None:
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want.astype(int)).max() <= within


def code_of(data: bytes) -> str:
    with pytest.raises(MediaError) as error:
        image_lib.decode_image(data)
    assert "\n" not in str(error.value)
    return error.value.code


def test_tiles_are_joined_and_cut_at_the_edge():
    picture = image_lib.decode_picture(tiled(scene(), 100, 90))
    assert_close(picture.image, scene()[:90, :100])
    assert picture.warnings == ()


# The standard: irot turns by quarters against the clock, imir 0 exchanges top and bottom and imir 1
# left and right, each on the result of the one before.
@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ([(b"irot", b"\1")], lambda image: image.transpose(1, 0, 2)[::-1]),
        ([(b"irot", b"\2")], lambda image: image[::-1, ::-1]),
        ([(b"irot", b"\3")], lambda image: image.transpose(1, 0, 2)[:, ::-1]),
        ([(b"imir", b"\0")], lambda image: image[::-1]),
        ([(b"imir", b"\1")], lambda image: image[:, ::-1]),
        ([(b"irot", b"\1"), (b"imir", b"\0")], lambda image: image.transpose(1, 0, 2)),
        # 40x30 around a middle that is 10 to the left and 5 below: columns 20-59, rows 35-64.
        ([heif_files.crop(40, 30, -20, 10)], lambda image: image[35:65, 20:60]),
        (
            [heif_files.crop(40, 30, -20, 10), (b"irot", b"\2")],
            lambda image: image[35:65, 20:60][::-1, ::-1],
        ),
    ],
)
def test_it_is_cropped_turned_and_mirrored_as_the_file_says(changes, want):
    image = image_lib.decode_image(tiled(scene(), 100, 90, *changes))
    assert_close(image, want(scene()[:90, :100]))


def test_exif_does_not_turn_it_again():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = heif_files.coded(scene(), FULL, (b"irot", b"\3"))
    data = heif_files.write(
        [turned, Item(b"Exif", bytes(4) + exif.tobytes())], references=((b"cdsc", 2, (1,)),)
    )
    assert_close(image_lib.decode_image(data), scene().transpose(1, 0, 2)[:, ::-1])


def test_the_primary_picture_is_shown_and_others_are_named():
    gray = np.full((64, 64, 3), 90, np.uint8)
    others = [heif_files.coded(gray, FULL) for _ in range(3)]
    main = heif_files.coded(scene(), FULL)
    burst = image_lib.decode_picture(heif_files.write([*others, main], primary=4))
    assert_close(burst.image, scene())
    assert burst.warnings == (
        "the file holds 4 pictures: only the one that viewers show first was used",
    )
    # A thumbnail, a depth map and what the file hides are not pictures of their own.
    others[2].hidden = True
    parts = ((b"thmb", 1, (4,)), (b"auxl", 2, (4,)))
    data = heif_files.write([*others, main], primary=4, references=parts)
    assert image_lib.decode_picture(data).warnings == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_as_pillow_shows_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation  # Pillow writes it as irot and imir
    buffer = io.BytesIO()
    Image.fromarray(scene(48, 64)).save(buffer, "AVIF", exif=exif, quality=90)
    want = ImageOps.exif_transpose(Image.open(buffer)).convert("RGB")
    assert_close(image_lib.decode_image(buffer.getvalue()), np.asarray(want), 2)


def test_an_avif_sequence_shows_its_first_frame():
    frames = [Image.fromarray(np.full((48, 64, 3), level, np.uint8)) for level in (50, 100, 150)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "AVIF", save_all=True, append_images=frames[1:], quality=90)
    picture = image_lib.decode_picture(buffer.getvalue())
    assert_close(picture.image, np.asarray(frames[0]), 2)
    assert "holds 3 pictures" in picture.warnings[0]


def test_a_sequence_without_a_still_shows_its_first_frame():
    frames = [np.full((64, 64, 3), level, np.uint8) for level in (90, 120, 150)]
    buffer = io.BytesIO()
    video.write_video(buffer, frames, fps=25, crf=10)
    track = heif_files.box(b"ftyp", b"msf1", bytes(4), b"msf1", b"hevc")
    data = buffer.getvalue()
    rest = data[int.from_bytes(data[:4]) :]  # FFmpeg writes an offset to what is in the file
    shift = len(track) - (len(data) - len(rest))
    picture = image_lib.decode_picture(_moved(track + rest, shift))
    assert_close(picture.image, frames[0], 3)
    assert "holds 3 pictures" in picture.warnings[0]


def _moved(data: bytes, shift: int) -> bytes:
    """The file with the one entry of its table of places moved."""
    place = data.index(b"stco") + 12
    (offset,) = struct.unpack_from(">I", data, place)
    return data[:place] + struct.pack(">I", offset + shift) + data[place + 4 :]


def test_display_p3_is_converted():
    """By the matrix between the two that CSS Color 4 prints; both have the curve of sRGB."""
    color = (180, 120, 90)
    flat = np.full((64, 64, 3), color, np.uint8)
    file = heif_files.write([heif_files.coded(flat, heif_files.nclx(12, 13, 6, full=True))])
    signal = np.array(color) / 255
    light = np.where(signal > 0.04045, ((signal + 0.055) / 1.055) ** 2.4, signal / 12.92)
    matrix = [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]]
    want = 255 * (1.055 * (np.array(matrix) @ light) ** (1 / 2.4) - 0.055)
    assert np.abs(want - color).max() > 8  # it shows
    np.testing.assert_allclose(image_lib.decode_image(file)[8:-8, 8:-8].mean((0, 1)), want, atol=2)


def test_pq_is_tone_mapped():
    """BT.2408: 58 % of the signal is 203 cd/m2, the white of SDR, and 38 % is gray of 26 cd/m2."""
    levels = {0.58: 255 * 0.9 ** (1 / 2.4), 0.38: 255 * (26 / 203) ** (1 / 2.4)}
    for signal, want in levels.items():
        flat = np.full((64, 64, 3), round(255 * signal), np.uint8)
        file = heif_files.write([heif_files.coded(flat, heif_files.nclx(1, 16, 6, full=True))])
        np.testing.assert_allclose(image_lib.decode_image(file).mean((0, 1)), want, atol=2)


def test_ten_bits_and_half_the_chroma():
    file = heif_files.write([heif_files.coded(scene(), FULL, pixels="yuv420p10le")])
    got = image_lib.decode_image(file)
    assert np.abs(got.astype(int) - scene()).mean() < 2


def test_lies_are_refused_before_they_cost_anything():
    large = heif_files.coded(np.zeros((1024, 1024, 3), np.uint8), FULL)
    began = time.process_time()
    large.properties[1] = heif_files.size(64, 64)  # the stream says otherwise
    assert code_of(heif_files.write([large])) == "corrupt"
    large.properties[1] = heif_files.size(65_535, 65_535)
    assert code_of(heif_files.write([large])) == "too_large"
    small = heif_files.coded(np.zeros((64, 64, 3), np.uint8), FULL)
    many = Item(b"grid", heif_files.grid(256, 256, 16_384, 4_096), [heif_files.size(16_384, 4_096)])
    parts = ((b"dimg", 1, (2,) * 65_535),)
    assert code_of(heif_files.write([many, small], references=parts)) == "too_large"
    few = Item(b"grid", heif_files.grid(2, 2, 64, 64), [heif_files.size(64, 64)])
    parts = ((b"dimg", 1, (2, 2, 2, 2)),)  # one of them would do
    assert code_of(heif_files.write([few, small], references=parts)) == "corrupt"
    assert time.process_time() - began < 1


def test_a_film_in_place_of_a_picture_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "AVIF")
    file = heif.Heif(buffer.getvalue())
    one = file[file.primary]
    properties = [(kind, body.copy().rest()) for kind, body in one.properties]
    for times, code in ((1, None), (20, "too_large")):
        data = heif_files.write([Item(b"av01", one.data * times, properties)], brand=b"avif")
        if code:
            assert code_of(data) == code
        else:
            assert_close(image_lib.decode_image(data), scene(), 40)


def test_itself_as_a_part_is_refused():
    grid = Item(b"grid", heif_files.grid(1, 1, 64, 64), [heif_files.size(64, 64)], inside=True)
    assert code_of(heif_files.write([grid], references=((b"dimg", 1, (1,)),))) == "unsupported"


def test_a_piece_of_a_file_never_decodes():
    file = tiled(scene(), 100, 90)
    for length in range(12, len(file), len(file) // 60):
        assert code_of(file[:length]) in ("corrupt", "unsupported")


def test_damage_is_a_typed_error_or_a_picture():
    file, rng = tiled(scene(), 100, 90), np.random.default_rng(0)
    start = file.index(b"meta")
    for _ in range(200):
        damaged = bytearray(file)
        for place in rng.integers(start, len(file) if rng.random() < 0.3 else start + 600, 2):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(MediaError):
            assert image_lib.decode_image(bytes(damaged)).dtype == np.uint8


def test_colors_of_no_known_coding_are_refused():
    strange = heif_files.coded(scene(), heif_files.nclx(1, 13, 200, full=True))
    assert code_of(heif_files.write([strange])) == "unsupported"


def test_other_codecs_are_named():
    item = Item(b"j2k1", bytes(100), [heif_files.size(64, 64)])
    with pytest.raises(MediaError, match="coded as 'j2k1': convert it"):
        image_lib.decode_image(heif_files.write([item]))
    without = struct.pack(">I", 16) + b"ftypheic" + bytes(4)
    with pytest.raises(MediaError, match="neither a picture nor a frame"):
        image_lib.decode_image(without)
