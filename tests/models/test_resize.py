"""The resizing inside a model is OpenCV's, so that crops of any size mean the same everywhere."""

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from dfjax.models import layers

SIZES = [(128, 112), (256, 224), (128, 32), (40, 33), (100, 224), (32, 64), (7, 5), (5, 7)]


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_resize_is_that_of_opencv(old, new):
    images = np.random.default_rng(old).integers(0, 256, (2, old, old, 3), np.uint8)
    method = cv2.INTER_AREA if new < old else cv2.INTER_LINEAR
    # OpenCV rounds twice where it interpolates uint8: exact is its float path alone.
    rounding = (0.5 if new < old else 0.8) / 255 + 1e-6
    found = layers.resize(jnp.asarray(images), new)
    assert found.shape == (2, new, new, 3)
    assert found.dtype == jnp.float32
    for image, mine in zip(images, found, strict=True):
        exact = cv2.resize(image.astype(np.float32) / 255, (new, new), interpolation=method)
        np.testing.assert_allclose(mine, exact, atol=1e-5)
        rounded = cv2.resize(image, (new, new), interpolation=method) / 255
        np.testing.assert_allclose(mine, rounded, atol=rounding)


def test_crops_of_the_right_size_are_left_untouched():
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8))
    assert layers.resize(image, 32) is image


def test_unit_floats_mean_what_uint8_means():
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3), np.uint8)
    as_float = image.astype(np.float32) / 255
    np.testing.assert_allclose(layers.resize(image, 32), layers.resize(as_float, 32), atol=1e-7)
