"""TIFF and GIF in their many kinds, and files with several pictures."""

import io
import struct
import time

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image as image_lib
from dfjax.media.errors import MediaError
from dfjax.sandbox.pool import Sandbox
from tests.media import heif_files

TURNED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}


def blocks(height: int = 32, width: int = 48) -> np.ndarray:
    """Four flat blocks, all different; every value of a channel is one of the 6 of a palette."""
    image = np.full((height, width, 3), (0, 51, 102), np.uint8)
    image[: height // 2, : width // 2] = (204, 51, 51)
    image[height // 2 :, : width // 2] = (51, 204, 51)
    image[: height // 2, width // 2 :] = (51, 51, 204)
    return image


def saved(picture: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def tiff(
    samples: bytes, *, order: str = "<", bits: int = 8, photometric: int = 1, **tags: int
) -> bytes:
    """An uncompressed TIFF of 4x2 pixels, written by hand, with further tags as t274=6."""
    entries = {256: 4, 257: 2, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 2}
    entries |= {279: len(samples)} | {int(name[1:]): value for name, value in tags.items()}
    entries[273] = 14 + 12 * len(entries)
    body = b"".join(
        struct.pack(f"{order}HHLL", tag, 4, 1, value) for tag, value in sorted(entries.items())
    )
    start = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HLH", 42, 8, len(entries))
    return start + head + body + struct.pack(f"{order}L", 0) + samples


def code_of(data: bytes) -> str:
    with pytest.raises(MediaError) as error:
        image_lib.decode_image(data)
    assert "\n" not in str(error.value)
    return error.value.code


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg"]
)
@pytest.mark.parametrize("orientation", TURNED)
def test_a_tiff_is_shown_upright_however_it_is_packed(compression, orientation):
    data = saved(
        Image.fromarray(blocks()), "TIFF", compression=compression, tiffinfo={274: orientation}
    )
    got, want = image_lib.decode_image(data), TURNED[orientation](blocks())
    np.testing.assert_allclose(got.astype(int), want, atol=2 if compression == "jpeg" else 0)


def test_tiff_samples_of_every_kind():
    rgb = Image.fromarray(blocks())
    alpha = rgb.copy()
    alpha.putalpha(7)
    lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    for picture, within in (
        (rgb, 0),
        (alpha, 0),
        (rgb.convert("P"), 0),
        (rgb.convert("CMYK"), 1),
        (ImageCms.applyTransform(rgb, lab), 12),  # 8 bits of Lab hold no more
    ):
        got = image_lib.decode_image(saved(picture, "TIFF"))
        np.testing.assert_allclose(got.astype(int), blocks(), atol=within, err_msg=picture.mode)
    gray = np.asarray(rgb.convert("L"))[..., None].repeat(3, axis=2)
    np.testing.assert_array_equal(image_lib.decode_image(saved(rgb.convert("L"), "TIFF")), gray)
    big = saved(rgb, "TIFF", big_tiff=True)
    np.testing.assert_array_equal(image_lib.decode_image(big), blocks())


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_values_of_every_depth_and_either_order(order):
    values = np.arange(8, dtype=np.uint8).reshape(2, 4) * 30
    deep = (256 * values.astype(int) + 255).astype(f"{order}u2")
    for name, data in {
        "8 bits": tiff(values.tobytes(), order=order),
        "0 is white": tiff((255 - values).tobytes(), order=order, photometric=0),
        "16 bits": tiff(deep.tobytes(), order=order, bits=16),
    }.items():
        got = image_lib.decode_image(data)
        np.testing.assert_array_equal(got, values[..., None].repeat(3, axis=2), err_msg=name)
    bilevel = image_lib.decode_image(tiff(b"\xa0\x50", order=order, bits=1))
    np.testing.assert_array_equal(bilevel[..., 0], [[255, 0, 255, 0], [0, 255, 0, 255]])


def test_inverted_16_bits_are_turned_round():
    values = np.arange(8, dtype="<u2").reshape(2, 4) * 7680
    got = image_lib.decode_image(tiff(values.tobytes(), bits=16, photometric=0))
    np.testing.assert_array_equal(got[..., 0], 255 - (values >> 8))


def test_what_a_tiff_may_not_be_is_said():
    gray = Image.fromarray(blocks()).convert("L")
    for mode in ("F", "I"):
        with pytest.raises(MediaError, match="measurements: save it with 8 or 16 bits"):
            image_lib.decode_image(saved(gray.convert(mode), "TIFF"))
    with pytest.raises(MediaError, match="YCbCr without compression"):
        image_lib.decode_image(saved(Image.fromarray(blocks()).convert("YCbCr"), "TIFF"))
    with pytest.raises(MediaError, match="rare compression"):
        image_lib.decode_image(saved(gray, "TIFF", compression="lzma"))


def test_sixteen_bits_of_color():
    deep = blocks().astype(np.uint16) * 256 + 99  # the upper bytes are the picture
    for compression in (1, 5, 8):
        options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
        _, data = cv2.imencode(".tiff", deep[..., ::-1], options)
        np.testing.assert_array_equal(image_lib.decode_image(data.tobytes()), blocks())
    with pytest.raises(MediaError, match="separate planes"):
        image_lib.decode_image(tiff(bytes(16), bits=16, t284=2))


def test_a_gif_is_decoded():
    np.testing.assert_array_equal(
        image_lib.decode_image(saved(Image.fromarray(blocks()), "GIF")), blocks()
    )


def test_transparency_is_dropped_without_blending():
    colors = Image.fromarray(blocks()).convert("P")
    hidden = colors.getpixel((0, 0))
    for file_format in ("GIF", "PNG", "TIFF"):
        data = saved(colors, file_format, transparency=hidden)
        np.testing.assert_array_equal(image_lib.decode_image(data), blocks())


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "PNG", "WEBP", "MPO"])
def test_the_first_of_several_is_shown_and_the_others_are_named(file_format):
    first, *others = (Image.fromarray(blocks()).rotate(angle) for angle in (0, 90, 180))
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = saved(first, file_format, save_all=True, append_images=others, **options)
    picture = image_lib.decode_picture(data)
    if file_format == "MPO":
        np.testing.assert_array_equal(picture.image, image_lib.decode_image(saved(first, "JPEG")))
    else:
        np.testing.assert_array_equal(picture.image, blocks())
    several = ("the file holds 3 pictures: only the one that viewers show first was used",)
    # What Pillow adds to a JPEG is of no stated kind, as are the gain maps of phones.
    assert picture.warnings == (() if file_format == "MPO" else several)
    assert image_lib.decode_picture(saved(first, file_format)).warnings == ()


def test_the_second_eye_of_a_stereo_picture_is_named():
    left, right = Image.fromarray(blocks()), Image.fromarray(blocks()[:, ::-1])
    data = saved(left, "MPO", save_all=True, append_images=[right])
    # The entry of a picture begins with its kind, then comes its size; 02 00 02 is Disparity.
    size = len(data) - data.rindex(b"\xff\xd8\xff")
    place = data.index(bytes(4) + struct.pack("<L", size))
    stereo = data[:place] + struct.pack("<L", 0x020002) + data[place + 4 :]
    assert image_lib.decode_picture(data).warnings == ()
    assert "holds 2 pictures" in image_lib.decode_picture(stereo).warnings[0]


def test_a_thumbnail_is_no_page():
    page = tiff(bytes(8))
    thumbnail = tiff(bytes(8), t254=1)
    # The second directory is appended; only the offset to it has to be right.
    place = 8 + 2 + 12 * 9
    linked = page[:place] + struct.pack("<L", len(page)) + page[place + 4 :] + thumbnail[8:]
    assert image_lib.decode_picture(linked).warnings == ()
    linked = page[:place] + struct.pack("<L", len(page)) + page[place + 4 :] + page[8:]
    assert "2 pictures" in image_lib.decode_picture(linked).warnings[0]
    loop = page[:place] + struct.pack("<L", 8) + page[place + 4 :]
    assert image_lib.decode_picture(loop).warnings == ()


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "TIFF LZW", "TIFF JPEG"])
def test_a_piece_of_a_file_never_decodes(file_format):
    file_format, _, compression = file_format.partition(" ")
    options = (
        {"compression": {"LZW": "tiff_lzw", "JPEG": "jpeg"}[compression]} if compression else {}
    )
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    data = saved(Image.fromarray(noise), file_format, **options)
    for share in (0.05, 0.3, 0.6, 0.9, 0.99):
        assert code_of(data[: int(share * len(data))]) in ("corrupt", "unsupported")


def test_bombs_are_refused_before_they_cost_anything():
    began = time.process_time()
    assert code_of(tiff(bytes(8), t256=60_000, t257=60_000)) == "too_large"
    assert code_of(tiff(bytes(8), t322=65_536, t323=65_536, t324=8, t325=8)) == "too_large"
    # Many tags that all point to the same megabyte, in the page and in the one inside it.
    tags = [struct.pack("<HHLL", tag, 1, 2**20, 0) for tag in range(1, 250)]
    inner = struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    assert code_of(b"II*\0" + struct.pack("<L", 8) + inner + bytes(2**20)) == "corrupt"
    page = tiff(bytes(8), t34665=200)
    assert code_of(page + bytes(200 - len(page)) + inner + bytes(2**20)) == "corrupt"
    wide = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b"," + bytes(4)
    assert code_of(wide + struct.pack("<HHB", 9, 9, 0) + b"\x02\x02L\x01\0;") == "too_large"
    assert time.process_time() - began < 1


def test_each_format_decodes_inside_the_sandbox(tmp_path):
    """Decoders that start threads, as libheif does, die in there."""
    rgb = Image.fromarray(blocks(64, 64))
    files = [saved(rgb, name) for name in ("GIF", "AVIF", "TIFF", "PNG")]
    files += [saved(rgb, "TIFF", compression=name) for name in ("jpeg", "zstd", "tiff_lzw")]
    files.append(heif_files.write([heif_files.coded(blocks(64, 64))]))
    sandbox = Sandbox("dfjax.inference.tasks")
    try:
        spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=64)
        _, arrays = sandbox.run("decode_crops", {"spec": spec.to_json()}, files, seconds=60)
    finally:
        sandbox.close()
    assert len(arrays["crops"]) == len(files)
    want = np.broadcast_to(blocks(64, 64), arrays["crops"].shape).astype(int)
    assert np.abs(arrays["crops"] - want).mean(axis=(1, 2, 3)).max() < 12
