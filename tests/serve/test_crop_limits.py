"""Lists become pixels only where every level and every number is as announced."""

import numpy as np
import pytest

from dfjax.serve import crop_limits
from dfjax.serve.crop_limits import CropLimits
from dfjax.serve.errors import RequestError

LIMITS = CropLimits(size=2, max_crops=3)


def test_lists_become_pixels():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    nested = crop_limits.from_lists(pixels.tolist(), pixels.shape)
    flat = crop_limits.from_flat_list(list(range(24)), [2, 2, 2, 3])
    for read in (nested, flat):
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, pixels)
    np.testing.assert_array_equal(crop_limits.from_flat_list([0, 255], [2]), [0, 255])


@pytest.mark.parametrize(
    "number", ["1", "a" * 10**6, True, 0.5, 1.0, None, -1, 256, 2**70, [1], {}]
)
def test_other_values_are_no_pixels(number):
    with pytest.raises(RequestError, match="whole numbers from 0 to 255") as error:
        crop_limits.from_lists([[0, number]], [1, 2])
    assert error.value.status == 400


@pytest.mark.parametrize(
    "data", [None, "ab", 7, {}, [1, 2], [[1, 2], [3]], [[1, 2], "ab"], [[1, 2]]]
)
def test_other_nesting_is_refused(data):
    with pytest.raises(RequestError, match="not nested as shape"):
        crop_limits.from_lists(data, [2, 2])


@pytest.mark.parametrize("shape", [[], [1], [1, 2, 2], [1, 3, 2, 3], [0, 2, 2, 3]])
def test_a_shape_that_is_not_one_of_crops_is_refused(shape):
    with pytest.raises(RequestError) as error:
        LIMITS.check_shape(shape)
    assert error.value.status == 400


def test_crops_up_to_the_limit_pass():
    for count in (1, 3):
        LIMITS.check_shape([count, 2, 2, 3])
    for count in (4, 2**31 - 1):
        with pytest.raises(RequestError, match="send 3 at a time") as error:
            LIMITS.check_shape([count, 2, 2, 3])
        assert error.value.status == 413
