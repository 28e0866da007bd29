"""The disguises are what the standards say, and hide the clip that they are made of."""

import itertools

import av
import numpy as np
import pytest

from tests.media import disguises, signals

HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def clip():
    """Colors that change along each side and with time, and a bright corner at the top left."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for number in range(12):
        image = np.stack([3 * columns, 5 * rows, np.full_like(rows, 10 + 16 * number)], axis=-1)
        image[:12, :12] = 250
        frames.append(image.astype(np.uint8))
    return disguises.Clip(frames, 50)


def decoded(path, index=0):
    with av.open(str(path)) as container:
        stream = container.streams.video[index]
        frames = list(container.decode(stream))
    return [frame.to_ndarray(format="rgb24") for frame in frames], frames


@pytest.mark.parametrize(
    ("light", "pq", "hlg"),
    # ITU-R BT.2408, table 1, in percent: 18 % gray card, 83 % gray card, white.
    [(26, 38, 38), (162, 56, 71), (203, 58, 75)],
)
def test_levels_of_reference_light(light, pq, hlg):
    gray = np.full((1, 1, 3), float(light))
    assert round(100 * float(signals.pq_signal(gray)[0, 0, 0])) == pq
    assert round(100 * float(signals.hlg_signal(gray)[0, 0, 0])) == hlg


def test_peaks_and_black():
    assert signals.pq_signal(np.array([0.0, 10_000.0])) == pytest.approx([0, 1], abs=1e-6)
    peak = signals.hlg_signal(np.full((1, 3), 1000.0))
    assert peak == pytest.approx(np.ones((1, 3)), abs=1e-6)
    white = np.full((1, 1, 3), 255, np.uint8)
    assert signals.nits(white)[0, 0] == pytest.approx([203] * 3, rel=1e-3)


def test_levels_of_colors():
    red, white = (np.tile(np.array(color, float), (4, 4, 1)) for color in ((1, 0, 0), (1, 1, 1)))
    # BT.709, 8 bits, and BT.2020, 10 bits: the levels of color bars.
    for color, weights, bits, expected in (
        (red, signals.KR_KB_709, 8, (63, 102, 240)),
        (white, signals.KR_KB_709, 8, (235, 128, 128)),
        (red, signals.KR_KB_2020, 10, (294, 387, 960)),
    ):
        planes = signals.to_planes(color, weights, bits)
        assert planes.shape == (6, 4)
        assert (planes[0, 0], planes[4, 0], planes[5, 0]) == expected


@pytest.mark.parametrize("name", ["turned", "mirrored", "turned_and_mirrored"])
def test_the_matrix_sends_every_pixel_home(name, clip, tmp_path):
    path = tmp_path / "a.mp4"
    getattr(disguises, name)(clip, path)
    data = path.read_bytes()
    start = data.index(b"tkhd") + 44
    a, b, _, c, d, _, x, y, w = np.frombuffer(data[start : start + 36], ">i4").astype(int) / 2**16
    assert w == 2**14
    stored = decoded(path)[0][0]
    shown = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for row in range(stored.shape[0]):
        for column in range(stored.shape[1]):
            # The center of a pixel, by ISO/IEC 14496-12.
            h, v = column + 0.5, row + 0.5
            shown[int(b * h + d * v + y), int(a * h + c * v + x)] = stored[row, column]
    assert np.abs(shown.astype(int) - clip.frames[0]).mean() < 4


def test_times_and_fields_are_declared(clip, tmp_path):
    path = tmp_path / "a.mp4"
    disguises.of_variable_rate(clip, path)
    images, frames = decoded(path)
    numbers = [round(frame.time * 50) for frame in frames]
    assert len(numbers) == 8
    assert len({b - a for a, b in itertools.pairwise(numbers)}) > 1
    for image, number in zip(images, numbers, strict=True):
        assert int(image[20, 30, 2]) == pytest.approx(10 + 16 * number, abs=6)
    disguises.interlaced(clip, path)
    images, frames = decoded(path)
    assert len(frames) == 6
    assert all(frame.interlaced_frame for frame in frames)
    lines = images[1][20:24, 30, 2].astype(int)  # of frame 2, of frame 3, ...
    assert lines == pytest.approx([42, 58, 42, 58], abs=6)


def test_covers_stand_beside_the_film(clip, tmp_path):
    attached = av.stream.Disposition.attached_pic
    for write, name, place in (
        (disguises.with_cover_first, "a.mp4", 0),
        (disguises.with_attached_cover, "a.mkv", 1),
    ):
        write(clip, tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            marks = [bool(stream.disposition & attached) for stream in container.streams.video]
        assert marks == [number == place for number in range(2)]
        assert len(decoded(tmp_path / name, 1 - place)[0]) == len(clip.frames)


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [("with_wide_pixels", (48, 48), (4, 3)), ("with_narrow_pixels", (64, 36), (3, 4))],
)
def test_pixels_declare_their_shape(name, size, shape, clip, tmp_path):
    getattr(disguises, name)(clip, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == size
        ratio = stream.sample_aspect_ratio
    assert (ratio.numerator, ratio.denominator) == shape


def test_a_long_clip_is_the_clip_again_and_again(clip, tmp_path):
    disguises.long(clip, tmp_path / "a.mp4", 3)
    images, frames = decoded(tmp_path / "a.mp4")
    assert [round(frame.time * 50) for frame in frames] == list(range(36))
    for image, again in zip(images[:12], images[24:], strict=True):
        np.testing.assert_array_equal(image, again)
