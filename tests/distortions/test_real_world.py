"""What real codecs and chains do to pictures, by values computed by hand and by invariants."""

import itertools

import cv2
import numpy as np
import pytest

from dfjax.distortions import suite
from dfjax.distortions.suite import Condition

ALL = suite.choose(["deeperforensics", "real_world", "blocks_by_area"])
CODECS = ("jpeg", "double_jpeg", "webp", "avif", "h264", "h265", "video_compression")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Patches of soft colour with some texture; it cannot be written to."""
    rng = np.random.default_rng(0)
    soft = cv2.resize(rng.integers(0, 256, (16, 16, 3), np.uint8), (288, 272))
    image = soft + rng.normal(0, 6, soft.shape)
    image = image.clip(0, 255).astype(np.uint8)
    image.flags.writeable = False
    return image


def distort(name: str, level: int, *frames: np.ndarray, record="a") -> list[np.ndarray]:
    return Condition(name, level).distort(frames, record)


def difference(image: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(image.astype(int) - cv2.resize(other, image.shape[1::-1])).mean())


@pytest.mark.parametrize("name", [each.name for each in ALL])
def test_levels_get_worse_and_are_the_same_again(name, picture):
    distorted = [distort(name, level, picture)[0] for level in range(1, 6)]
    changes = [difference(picture, each) for each in distorted]
    assert 0 < changes[0] < changes[-1]
    # Captions lie anywhere, and an odd divisor picks pixels where an even one averages them.
    assert changes == sorted(changes) or name in ("text", "pixelation")
    assert all(each.dtype == np.uint8 for each in distorted)
    np.testing.assert_array_equal(distorted[2], distort(name, 3, picture)[0])


@pytest.mark.parametrize("name", CODECS)
def test_codecs_keep_colours_in_their_order(name):
    flat = np.full((64, 64, 3), (200, 90, 30), np.uint8)
    for level in (1, 5):
        (shown,) = distort(name, level, flat)
        np.testing.assert_allclose(shown.mean((0, 1)), (200, 90, 30), atol=9)


@pytest.mark.parametrize("name", ["h264", "h265", "video_compression"])
@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_films_keep_their_frames_in_order_at_odd_sizes(name, num_frames):
    frames = [np.full((33, 47, 3), 40 * n + 20, np.uint8) for n in range(num_frames)]
    shown = distort(name, 1, *frames)
    assert [each.shape for each in shown] == [(33, 47, 3)] * num_frames
    np.testing.assert_allclose(
        [each.mean() for each in shown], np.arange(num_frames) * 40 + 20, atol=4
    )


def test_frames_of_other_sizes_are_films_of_their_own():
    frames = [np.full((side, side, 3), 90, np.uint8) for side in (32, 32, 48)]
    assert [len(each) for each in distort("h264", 2, *frames)] == [32, 32, 48]


def test_a_chat_program_limits_the_long_side():
    wide = np.full((900, 1600, 3), 80, np.uint8)
    sizes = [distort("chat_app", level, wide)[0].shape[:2] for level in range(1, 6)]
    assert sizes == [(720, 1280)] * 2 + [(360, 640)] * 3
    assert distort("chat_app", 5, wide[:100, :120])[0].shape[:2] == (100, 120)


def test_a_screenshot_is_cut_and_darker():
    (shown,) = distort("screenshot", 1, np.full((100, 200, 3), 128, np.uint8))
    assert shown.shape == (98, 196, 3)
    assert (shown == 124).all()  # 255 * (128 / 255)^1.05 = 123.7


def test_resizing_takes_the_finest_detail_away():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    left = [distort("resize_chain", level, noise)[0].std() for level in range(1, 6)]
    assert all(after < before for before, after in itertools.pairwise(left))
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (distort("resize_chain", 2, stripes)[0] == 100).all()  # each pixel is the mean of two


def test_captions_stand_still_and_belong_to_the_record(picture):
    black, grey = (np.full((256, 256, 3), value, np.uint8) for value in (0, 90))
    first, second = distort("text", 3, black, grey)
    np.testing.assert_array_equal(first == 255, second == 255)
    assert (first == 255).any()
    assert not np.array_equal(first, distort("text", 3, black, record="b")[0])


def test_sharpening_steepens_edges_without_wrapping():
    edge = np.full((9, 32, 3), 60, np.uint8)
    edge[:, 16:] = 200
    for level in range(1, 6):
        row = distort("sharpening", level, edge)[0][4, :, 0].astype(int)
        assert row[0] == 60
        assert row[-1] == 200
        assert row[15] < 60
        assert row[16] > 200


def test_unknown_types_and_levels_are_named():
    with pytest.raises(ValueError, match="unknown type fog: use deeperforensics, real_world, or"):
        suite.choose(["jpeg", "fog"])
    with pytest.raises(ValueError, match="unknown level 6: use 1 to 5"):
        suite.require_levels([6, 1])
    assert [each.name for each in suite.choose(["jpeg", "deeperforensics", "jpeg"])][:2] == [
        "jpeg",
        "saturation",
    ]
