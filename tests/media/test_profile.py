"""Color profiles are applied to every format, and broken ones do no harm."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from dfjax.media import image as image_lib
from dfjax.media import limits

# Adobe RGB (1998) under D50, as its own specification prints it: X, Y and Z of red, green, blue.
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
# From XYZ under D50 to linear sRGB: the inverse of the matrix that IEC's own profile holds.
XYZ_TO_SRGB = np.linalg.inv(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
COLOR = (150, 120, 90)


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 2."""
    tags = {b"desc": b"desc" + bytes(86), b"wtpt": xyz(0.9642, 1, 0.8249), **tags}
    table, body, offset = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    pcs = b"Lab " if b"A2B0" in tags else b"XYZ "
    head = struct.pack(
        ">I4sI4s4s4s12s4s", 0, bytes(4), 0x02400000, kind, space, pcs, bytes(12), b"acsp"
    )
    head += bytes(28) + xyz(0.9642, 1, 0.8249)[8:] + bytes(48)
    size = len(head) + 4 + len(table) + len(body)
    return struct.pack(">I", size) + head[4:] + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * value))


def adobe() -> bytes:
    columns = {
        name: xyz(*column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)
    }
    curves = {name: gamma(563 / 256) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return profile(b"RGB ", columns | curves)


def inks() -> bytes:
    """Of a press whose cyan prints sRGB's red, (54.3, 80.8, 69.9) in Lab under D50; black is black.

    An 8-bit table of 2 points along each ink: without ink the paper is white.
    """
    lab = {(0, 0, 0, 0): (255, 128, 128), (1, 0, 0, 0): (138, 209, 198)}
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    points = b"".join(bytes(lab.get(corner, (0, 128, 128))) for corner in corners)
    same = bytes(range(256))
    head = b"mft1" + bytes(4) + bytes((4, 3, 2, 0))
    matrix = struct.pack(">9i", *(65536 * one for one in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    return profile(b"CMYK", {b"A2B0": head + matrix + same * 4 + points + same * 3}, b"prtr")


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(picture: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def flat(color=COLOR) -> Image.Image:
    return Image.new("RGB", (64, 48), color)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_wider_gamut_is_shown_in_srgb(file_format):
    light = (np.array(COLOR) / 255) ** (563 / 256)
    shown = XYZ_TO_SRGB @ np.transpose(ADOBE) @ light
    want = 255 * (1.055 * shown ** (1 / 2.4) - 0.055)
    assert np.abs(want - COLOR).max() > 8  # it shows
    options = {"quality": 100} if file_format != "TIFF" else {}
    data = saved(flat(), file_format, icc_profile=adobe(), **options)
    picture = image_lib.decode_picture(data)
    np.testing.assert_allclose(picture.image.mean((0, 1)), want, atol=2.5)
    assert picture.warnings == ()


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_pixels_stay_without_a_profile_and_with_that_of_srgb(file_format):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    plain = saved(noise, file_format)
    want = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(image_lib.decode_image(plain), want)
    if file_format != "BMP":
        tagged = saved(noise, file_format, icc_profile=srgb())
        assert b"acsp" in tagged or file_format == "PNG"
        np.testing.assert_array_equal(image_lib.decode_image(tagged), want)


def test_inks_are_what_their_profile_says():
    inked = Image.new("CMYK", (64, 48), (255, 0, 0, 0))
    inked.paste((0, 0, 0, 0), (32, 0, 64, 48))
    exif = Image.Exif()
    exif[0x0112] = 2  # left and right are exchanged
    for file_format, options in (("JPEG", {"quality": 100, "exif": exif}), ("TIFF", {})):
        data = saved(inked, file_format, icc_profile=inks(), **options)
        got = image_lib.decode_image(data)
        left, right = got[:, 4:28].mean((0, 1)), got[:, 36:60].mean((0, 1))
        red, white = (right, left) if "exif" in options else (left, right)
        np.testing.assert_allclose(red, (255, 0, 0), atol=8)
        np.testing.assert_allclose(white, (255, 255, 255), atol=2)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "AVIF"])
def test_a_gray_profile_brightens_a_gray_picture(file_format):
    icc = profile(b"GRAY", {b"kTRC": gamma(1)})
    data = saved(Image.new("L", (64, 48), 100), file_format, icc_profile=icc)
    want = 255 * (1.055 * (100 / 255) ** (1 / 2.4) - 0.055)
    picture = image_lib.decode_picture(data)
    np.testing.assert_allclose(picture.image, want, atol=2)
    assert picture.warnings == ()


def test_profiles_that_cannot_be_used_are_named():
    def warnings_of(icc: bytes, picture: Image.Image) -> tuple[str, ...]:
        decoded = image_lib.decode_picture(saved(picture, "JPEG", icc_profile=icc))
        want = image_lib.decode_image(saved(picture, "JPEG"))
        np.testing.assert_array_equal(decoded.image, want)
        return decoded.warnings

    broken = "its color profile is broken: its colors were taken as sRGB"
    assert warnings_of(b"not a profile", flat()) == (broken,)
    assert warnings_of(adobe()[:300], flat()) == (broken,)
    gray = profile(b"GRAY", {b"kTRC": gamma(1)})
    assert "is for GRAY, its pixels are RGB" in warnings_of(gray, flat())[0]
    assert "rare kind" in warnings_of(adobe() + b"mpet", flat())[0]
    large = adobe() + bytes(limits.MAX_PROFILE_BYTES)
    assert "too large" in warnings_of(large, flat())[0]


def test_damaged_profiles_never_crash():
    rng, whole = np.random.default_rng(0), inks()
    for _ in range(30):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(256)
        picture = Image.new("CMYK", (8, 8), (90, 10, 20, 30))
        decoded = image_lib.decode_picture(saved(picture, "TIFF", icc_profile=bytes(damaged)))
        assert decoded.image.shape == (8, 8, 3)


def test_a_png_may_name_its_primaries_and_curve():
    """cICP 12, 13: Display P3. As in test_heif, by the matrix of CSS Color 4."""
    data = saved(flat((180, 120, 90)), "PNG")
    chunk = b"cICP" + bytes((12, 13, 0, 1))
    body = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    end = data.index(b"IDAT") - 4
    got = image_lib.decode_image(data[:end] + body + data[end:])
    np.testing.assert_allclose(got.mean((0, 1)), (190.3, 116.6, 84.0), atol=2)
