"""What happens to one crop, against OpenCV and libjpeg."""

import io

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dfjax.augment import colour, filters, geometry, jpeg, mixup, noise
from dfjax.augment.settings import Settings
from tests.augment import materials


def _planes(image: np.ndarray) -> jax.Array:
    return jnp.moveaxis(jnp.asarray(image, jnp.float32), -1, 0)


def _pixels(planes: jax.Array) -> np.ndarray:
    return np.moveaxis(np.asarray(planes), 0, -1)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return materials.heads(1)[0][0]


@pytest.mark.parametrize(
    "size", [128, 100]
)  # 100 is no multiple of the 16 pixels of a chroma block
def test_jpeg_is_that_of_libjpeg(image, size):
    image = np.ascontiguousarray(image[:size, :size])
    round_trip = jax.jit(jpeg.round_trip)
    for quality in (25, 50, 75, 90, 100):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        expected = np.asarray(Image.open(file)).astype(int)
        found = _pixels(round_trip(_planes(image), jnp.float32(quality)))
        assert np.abs(found - expected).mean() < 0.8  # of 255; both round at every stage
        assert np.abs(found - image).mean() == pytest.approx(
            np.abs(expected - image).mean(), rel=0.1
        )


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_warp_is_that_of_opencv(image, mirror):
    size, angle, scale, shift = len(image), 0.2, 1.1, np.float32([0.05, -0.03])
    motion = geometry.affine(
        turn=jnp.float32(np.tan(angle / 2)), scale=jnp.float32(scale), shift=shift, mirror=mirror
    )
    found = _pixels(geometry.warp(_planes(image), motion))
    # OpenCV counts in pixels whose centres are integers.
    matrix = np.asarray(motion, np.float64) * [1, 1, size]
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    expected = cv2.warpAffine(
        image.astype(np.float32), matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101
    )
    assert np.abs(found - expected).mean() < 0.3  # OpenCV's weights have five bits


def test_motions_stay_within_their_limits_and_none_is_the_identity(image):
    keys = jax.random.split(jax.random.key(0), 200)
    draw = jax.vmap(geometry.draw_motion, (0, None))
    motions = draw(keys, Settings(flip=0.5, rotate=10.0, zoom=0.2, shift=0.1))
    determinant = np.linalg.det(motions[:, :, :2])
    scale, mirrored = np.sqrt(np.abs(determinant)), determinant < 0
    assert 0.8 <= scale.min() < 0.85
    assert 1.15 < scale.max() <= 1.2
    assert 0.35 < mirrored.mean() < 0.65
    angle = np.rad2deg(np.arctan2(-motions[:, 0, 1], motions[:, 1, 1]))
    assert 9 < np.abs(angle).max() <= 10.001
    centre = motions @ jnp.array([0.5, 0.5, 1.0])
    assert 0.09 < np.abs(centre - 0.5).max() <= 0.1001
    still = geometry.draw_motion(keys[0], Settings())
    np.testing.assert_allclose(geometry.warp(_planes(image), still), _planes(image), atol=0.02)


def test_blur_is_that_of_opencv(image):
    for sigma in (0.3, 0.8, 1.2):
        found = _pixels(filters.gaussian(_planes(image), jnp.float32(sigma), radius=4))
        expected = cv2.GaussianBlur(image.astype(np.float32), (9, 9), sigma)
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_guided_filter_keeps_edges_and_smooths_between():
    picture = np.full((1, 40, 40), 50.0, np.float32)
    picture[:, :, 20:] = 200
    noisy = picture + np.random.default_rng(0).normal(0, 3, picture.shape).astype(np.float32)
    found = np.asarray(filters.guided(jnp.asarray(noisy), jnp.float32(10.0), radius=2))
    flat = np.r_[4:16, 24:36]
    assert found[..., flat].std(1).mean() < 0.5 * noisy[..., flat].std(1).mean()
    assert np.abs(found[..., 19:21] - picture[..., 19:21]).mean() < 5


def test_colour_changes_brightness_contrast_saturation_and_hue(image):
    planes, one = _planes(image), jnp.float32(1)

    def adjust(**factors):
        return colour.adjust(
            planes, **{"brightness": one, "contrast": one, "saturation": one, **factors}
        )

    np.testing.assert_allclose(adjust(), planes, atol=1e-3)
    np.testing.assert_allclose(adjust(brightness=1.2), planes * 1.2, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(adjust(contrast=0.5), planes / 2 + 63.75, atol=1e-3)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    assert np.abs(np.asarray(adjust(saturation=0.0)) - grey).max() <= 0.51
    turned = colour.turn_hue(planes, jnp.float32(0.15))
    luma = np.tensordot(colour.LUMA, [turned, planes], (0, 1))
    np.testing.assert_allclose(luma[0], luma[1], atol=0.1)
    assert np.abs(turned - planes).max() > 5


def test_noise_is_nearly_normal_and_of_the_promised_strength():
    flat = jnp.full((3, 64, 64), 100.0)
    fields = jax.vmap(noise.add, (None, 0))(flat, jax.random.split(jax.random.key(0), 64)) - 100
    deviation = np.asarray(fields).std((1, 2, 3))
    assert deviation.min() > noise.WEAKEST * 0.95
    assert deviation.max() < noise.STRONGEST * 1.05
    assert np.abs(np.asarray(fields).mean((1, 2, 3)) / deviation).max() < 0.05
    unit = np.asarray(fields) / deviation[:, None, None, None]
    assert (unit**4).mean() == pytest.approx(3, abs=0.4)  # a normal's kurtosis
    grey = np.ptp(fields, axis=1).max((1, 2)) == 0
    assert 0.3 < grey.mean() < 0.7


def test_mixing_shares_follow_beta_half():
    draws = np.sort(jax.vmap(mixup.beta_half)(jax.random.split(jax.random.key(0), 4_000)))
    expected = 2 / np.pi * np.arcsin(np.sqrt(draws))  # its distribution function
    assert np.abs(expected - np.linspace(0, 1, len(draws))).max() < 0.03
