"""Pictures come out the same however they were stored, and hostile ones are refused cheaply."""

import base64
import io
import os
import resource
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dfjax.media import image as image_lib
from dfjax.media import limits
from dfjax.media.errors import MediaError


def blocks(height=32, width=48):
    """Four flat blocks, all different: every turn and mirroring of it shows."""
    image = np.full((height, width, 3), (30, 60, 90), np.uint8)
    image[: height // 2, : width // 2] = (200, 40, 40)
    image[height // 2 :, : width // 2] = (40, 200, 40)
    image[: height // 2, width // 2 :] = (40, 40, 200)
    return image


def saved(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, bit_depth: int, rows: bytes) -> bytes:
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bit_depth, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def code_of(data: bytes) -> str:
    with pytest.raises(MediaError) as error:
        image_lib.decode_image(data)
    assert "\n" not in str(error.value)
    return error.value.code


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(file_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(blocks()), file_format, exif=exif.tobytes(), quality=95)
    want = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    got = image_lib.decode_image(data)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got.astype(int), np.asarray(want).astype(int), atol=8)


def test_every_kind_of_sample_comes_out_as_rgb_bytes():
    rgb = Image.fromarray(blocks())
    alpha = rgb.copy()
    alpha.putalpha(7)
    for data in (saved(alpha, "PNG"), saved(rgb, "BMP"), saved(rgb, "PNG")):
        np.testing.assert_array_equal(image_lib.decode_image(data), blocks())
    grey = image_lib.decode_image(saved(rgb.convert("L"), "PNG"))
    np.testing.assert_array_equal(grey, np.asarray(rgb.convert("L"))[..., None].repeat(3, axis=2))
    deep = (blocks().astype(np.uint16) << 8) + 255  # the upper bytes are the picture
    _, data = cv2.imencode(".png", deep[..., ::-1])
    np.testing.assert_array_equal(image_lib.decode_image(data.tobytes()), blocks())
    cmyk = image_lib.decode_image(saved(rgb.convert("CMYK"), "JPEG", quality=95, subsampling=0))
    np.testing.assert_allclose(cmyk[4:12, 4:20].mean((0, 1)), (200, 40, 40), atol=6)


def test_encodings_return_the_picture():
    image = blocks()
    np.testing.assert_array_equal(
        image_lib.decode_image(image_lib.encode_image(image, "png")), image
    )
    jpeg = image_lib.encode_image(image, "jpeg")
    # 4:4:4: all three components are sampled alike, 1x1.
    assert [layer[1:3] for layer in Image.open(io.BytesIO(jpeg)).layer] == [(1, 1)] * 3
    np.testing.assert_allclose(image_lib.decode_image(jpeg).astype(int), image, atol=12)
    with pytest.raises(ValueError, match="'gif' is unknown"):
        image_lib.encode_image(image, "gif")
    with pytest.raises(ValueError, match="give RGB uint8"):
        image_lib.encode_image(image[..., 0], "png")


def test_a_picture_within_a_text_is_a_small_jpeg():
    rows = np.linspace(0, 255, 64).astype(np.uint8)
    image = np.broadcast_to(rows[:, None, None], (64, 64, 3)).copy()
    prefix, data = image_lib.data_uri(image, side=16).split(",")
    assert prefix == "data:image/jpeg;base64"
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (shown.format, shown.size) == ("JPEG", (16, 16))
    means = image.reshape(16, 4, 64, 3).mean((1, 2, 3))
    np.testing.assert_allclose(np.asarray(shown).mean((1, 2)), means, atol=2)
    whole = Image.open(io.BytesIO(base64.b64decode(image_lib.data_uri(image).split(",")[1])))
    assert whole.size == (64, 64)


def test_a_huge_picture_is_refused_before_it_is_decoded():
    bomb = png(30_000, 30_000, 1, bytes(30_000 * 3_751))
    assert len(bomb) < 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert code_of(bomb) == "too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB
    largest = png(limits.MAX_PIXELS // 8, 8, 1, b"")
    assert code_of(largest) == "corrupt"  # within the limit, but without rows
    assert code_of(png(limits.MAX_PIXELS // 8 + 1, 8, 1, b"")) == "too_large"


def test_a_chunk_that_claims_gigabytes_is_refused():
    data = saved(Image.fromarray(blocks()), "PNG")
    start = data.index(b"IDAT") - 4
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert code_of(data[:start] + struct.pack(">I", 0xFEFFFFFF) + data[start + 4 :]) == "corrupt"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_scans_are_counted_as_a_decoder_meets_them():
    picture = Image.fromarray(blocks())
    data = saved(picture, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    assert code_of(data[:last] + scan * 200 + data[-2:]) == "too_large"
    # Neither a comment nor what follows the end is a scan.
    comment = b"\xff\xfe" + struct.pack(">H", 402) + b"\xff\xda" * 200
    harmless = data[:2] + comment + data[2:] + b"\xff\xda" * 200
    np.testing.assert_array_equal(image_lib.decode_image(harmless), image_lib.decode_image(data))


def test_broken_bytes_are_typed_errors(tmp_path):
    jpeg = saved(Image.fromarray(blocks(256, 256)), "JPEG")
    assert code_of(b"") == "empty"
    assert code_of(b"<svg onload=alert(1)>") == "unsupported"
    assert code_of(saved(Image.fromarray(blocks()), "PCX")) == "unsupported"
    assert code_of(jpeg[: len(jpeg) // 2]) == "corrupt"
    assert code_of(jpeg[:30]) in ("corrupt", "unsupported")
    with pytest.raises(MediaError, match=r"no\.jpg: No such file") as error:
        image_lib.read_image(tmp_path / "no.jpg")
    assert error.value.code == "unreadable"
    os.mkfifo(tmp_path / "pipe.jpg")  # reading it would wait for ever
    with pytest.raises(MediaError, match=r"pipe\.jpg: not a regular file"):
        image_lib.read_image(tmp_path / "pipe.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(MediaError, match=r"text\.jpg: not a JPEG"):
        image_lib.read_image(tmp_path / "text.jpg")


def test_a_worker_can_send_the_error_home():
    kind, arguments = MediaError("corrupt", "x: broken").__reduce__()
    assert (kind(*arguments).code, str(kind(*arguments))) == ("corrupt", "x: broken")


def test_entry_points_limit_opencv_itself():
    script = (
        "from dfjax.media import limits; limits.limit_opencv()\n"
        "import os, cv2\n"
        "assert os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'] == str(limits.MAX_PIXELS)\n"
        "try: limits.limit_opencv()\n"
        "except RuntimeError: print('late')\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "late\n"
