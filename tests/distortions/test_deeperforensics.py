"""The seven distortions against values computed by hand, and against formulas of the benchmark."""

import cv2
import numpy as np
import pytest

from dfjax.distortions import deeperforensics, suite

RNG = np.random.default_rng(0)


class Ones:
    """Noise of one standard deviation everywhere."""

    def standard_normal(self, shape, dtype):
        return np.ones(shape, dtype)


def one_pixel(*rgb: int) -> np.ndarray:
    return np.array([[rgb]], np.uint8)


def distort(name: str, level: int, image: np.ndarray, rng=RNG) -> np.ndarray:
    (distortion,) = suite.choose([name])
    (distorted,) = distortion([image], level, rng)
    return distorted


def test_parameters_are_those_of_the_benchmark():
    assert {each.name: each.parameters for each in deeperforensics.DISTORTIONS} == {
        "saturation": (0.4, 0.3, 0.2, 0.1, 0.0),
        "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
        "blocks": (16, 32, 48, 64, 80),
        "noise": (0.001, 0.002, 0.005, 0.01, 0.05),
        "blur": (7, 9, 13, 17, 21),
        "pixelation": (2, 3, 4, 5, 6),
        "video_compression": (30, 32, 35, 38, 40),
    }


def test_saturation_keeps_the_luma():
    # Luma .299 * 200 + .587 * 100 + .114 * 50 = 124.2; at level 1, 124.2 + .4 * (200 - 124.2).
    assert distort("saturation", 1, one_pixel(200, 100, 50)).tolist() == [[[155, 115, 95]]]
    assert distort("saturation", 5, one_pixel(200, 100, 50)).tolist() == [[[124, 124, 124]]]


def test_saturation_is_that_of_opencvs_chroma_and_wraps_nowhere():
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    image[:8, :, 0], image[:8, :, 1:] = 255, 0  # where bytes would wrap first
    for level, factor in enumerate((0.4, 0.3, 0.2, 0.1, 0.0), 1):
        parts = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2YCrCb)
        parts[..., 1:] = 0.5 + (parts[..., 1:] - 0.5) * factor
        expected = 255 * cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB)
        assert np.abs(distort("saturation", level, image) - expected).max() < 1


def test_contrast_multiplies_and_rounds():
    assert distort("contrast", 1, one_pixel(200, 101, 255)).tolist() == [[[170, 86, 217]]]
    assert distort("contrast", 5, one_pixel(200, 100, 3)).tolist() == [[[70, 35, 1]]]


def test_noise_of_one_deviation():
    # 255 * sqrt(.001) = 8.064; in full range 8.064 * 255 / 219 = 9.389 of luma and 8.064 * 255 /
    # 224 = 9.180 of chroma: R + 9.389 + 1.403 * 9.180, G + 9.389 - 1.058 * 9.180, B + 25.665.
    assert distort("noise", 1, one_pixel(100, 100, 100), Ones()).tolist() == [[[122, 100, 126]]]
    assert distort("noise", 5, one_pixel(250, 250, 250), Ones()).tolist() == [[[255, 248, 255]]]


@pytest.mark.parametrize(("level", "red"), [(1, 15.9), (2, 22.5), (3, 35.6)])
def test_noise_is_as_strong_as_the_benchmarks(level, red):
    noise = distort("noise", level, np.full((200, 200, 3), 128, np.uint8)) - 128.0
    assert noise[..., 0].std() == pytest.approx(red, rel=0.02)
    assert abs(noise.mean()) < 0.5


def test_blur_of_a_dot():
    # exp(-x^2 / (2 (7 / 6)^2)) is 1, .69257, .23006, .03666: with both sides 2.91857 in all.
    dot = np.zeros((15, 15, 3), np.uint8)
    dot[7, 7] = 255
    row = distort("blur", 1, dot)[7, :, 1].astype(int)
    weights = np.array([0, 0.03666, 0.23006, 0.69257, 1, 0.69257, 0.23006, 0.03666, 0])
    np.testing.assert_allclose(row[3:12], 255 * weights / 2.91857**2, atol=1)


def test_pixelation_of_a_step():
    step = np.zeros((4, 4, 3), np.uint8)
    step[:, 2:] = 100
    # Halved it is 0, 100; pixel centers of the double lie at -.25, .25, .75 and 1.25 of these.
    assert distort("pixelation", 1, step)[1, :, 0].tolist() == [0, 25, 75, 100]


def test_pixelation_rounds_the_sides_down():
    image = np.random.default_rng(0).integers(0, 256, (50, 75, 3), np.uint8)
    small = cv2.resize(image, (75 // 4, 50 // 4))
    np.testing.assert_array_equal(distort("pixelation", 3, image), cv2.resize(small, (75, 50)))


@pytest.mark.parametrize(("height", "width", "count"), [(300, 256, 16), (767, 512, 32)])
def test_blocks_are_counted_by_whole_256_pixels(height, width, count):
    black = np.zeros((height, width, 3), np.uint8)
    covered = distort("blocks", 1, black)
    assert set(np.unique(covered)) == {0, 128}
    share = (covered[..., 0] == 128).sum() / 64
    assert 0.8 * count < share <= count  # some may lie on others
    assert not np.array_equal(covered, distort("blocks", 1, black))  # places are random


def test_blocks_do_nothing_below_256_pixels_and_by_area_they_do():
    black = np.zeros((224, 224, 3), np.uint8)
    for level in range(1, 6):
        assert not distort("blocks", level, black).any()
    # 16 * 224^2 / 256^2 = 12.25 and 80 * 224^2 / 256^2 = 61.25 blocks of 64 pixels.
    covered = [(distort("blocks_by_area", level, black)[..., 0] > 0).sum() for level in (1, 5)]
    assert 10 * 64 < covered[0] <= 12 * 64
    assert 45 * 64 < covered[1] <= 61 * 64
