"""Encoders write the codec and the quality that they are asked for."""

import io
import itertools

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from dfjax.distortions import suite
from dfjax.media import encode


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    soft = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (160, 120))
    return (soft + rng.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8)


def parameters(name: str) -> tuple[int, ...]:
    return suite.choose([name])[0].parameters


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif"])
def test_each_level_of_a_picture_codec_has_fewer_bytes(codec, picture):
    coded = [encode.encode_picture(picture, codec, quality) for quality in parameters(codec)]
    sizes = [len(data) for data in coded]
    assert all(after < before for before, after in itertools.pairwise(sizes))
    assert Image.open(io.BytesIO(coded[0])).format == codec.upper()


@pytest.mark.parametrize(
    ("name", "codec", "decoder"),
    [("h264", "h264", "h264"), ("video_compression", "h264", "h264"), ("h265", "h265", "hevc")],
)
def test_each_level_of_a_film_codec_has_fewer_bytes(name, codec, decoder, picture):
    frames = [np.roll(picture, 3 * n, 1) for n in range(6)]
    coded = [encode.encode_film(frames, codec, crf) for crf in parameters(name)]
    sizes = [len(data) for data in coded]
    assert all(after < before for before, after in itertools.pairwise(sizes))
    with av.open(io.BytesIO(coded[0])) as container:
        assert container.streams.video[0].codec_context.name == decoder
    assert encode.encode_film(frames, codec, 40) == encode.encode_film(frames, codec, 40)


def test_jpeg_has_the_tables_of_its_quality_and_half_the_chroma(picture):
    coded = Image.open(io.BytesIO(encode.encode_picture(picture, "jpeg", 50)))
    assert coded.quantization[0][0] == 16  # at 50, the table of the standard (ITU-T T.81, K.1)
    assert coded.layer[0][1:3] == (2, 2)  # luma has twice the samples of chroma each way


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif"])
def test_pillow_shows_the_same_picture(codec, picture):
    shown = encode.recode_picture(picture, codec, 80).astype(int)
    by_pillow = Image.open(io.BytesIO(encode.encode_picture(picture, codec, 80))).convert("RGB")
    assert np.abs(shown - np.asarray(by_pillow)).mean() < 1.5
