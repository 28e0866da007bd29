"""The arithmetic of a gate against scikit-learn, and what it calls strange."""

import jax
import numpy as np
import pytest
import scipy.ndimage
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA

from dfjax import models
from dfjax.familiarity import features, fit, gate, strangers


@pytest.fixture(scope="module")
def training():
    """400 rows of 40 features that vary along ten directions, and a little along all others."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 10)) @ rng.normal(size=(10, 40)) + rng.normal(size=(400, 40))


@pytest.fixture(scope="module")
def statistics(training):
    """Fitted to strangers that leave the training data along one of its directions."""
    mean = training.mean(0)
    return fit.fit(training, mean + 4 * (training[:100] - mean))


def test_coordinates_are_those_of_scikit_learns_whitened_pca(training, statistics):
    standard = (training - statistics.mean) / statistics.scale
    pca = PCA(len(statistics.spread), whiten=True, svd_solver="full").fit(standard)
    along, beside = gate.coordinates(np.float32(training), statistics)
    expected = pca.transform(standard) * np.sqrt(400 / 399)  # by N, and not by N - 1
    np.testing.assert_allclose(np.abs(along), np.abs(expected), atol=1e-3)
    lost = standard - pca.inverse_transform(pca.transform(standard))
    np.testing.assert_allclose(beside, (lost**2).sum(1), rtol=1e-3)


def test_features_that_stay_alone_are_axes_as_they_are(training):
    strangers = training[:100] + 1
    statistics = fit.fit(training, strangers, alone=2)
    np.testing.assert_array_equal(statistics.axes[-2:], np.eye(len(statistics.spread))[-2:])
    rest = fit.fit(training[:, :-2], strangers[:, :-2])
    np.testing.assert_allclose(np.abs(statistics.axes[:-2, :-2]), np.abs(rest.axes), atol=0.1)


def test_the_detail_of_a_picture_is_that_of_scipys_laplacian():
    image = np.random.default_rng(0).integers(0, 256, (2, 34, 34, 3), np.uint8)
    image[1] //= 8
    luma = image / 255 @ [0.299, 0.587, 0.114]
    kernel = np.array([[[0, 1, 0], [1, -4, 1], [0, 1, 0]]])
    strength = np.abs(scipy.ndimage.convolve(luma, kernel)[:, 1:-1, 1:-1])
    expected = np.log(strength.reshape(2, 2, 16, 2, 16).mean((2, 4)) + 0.0004).reshape(2, 4)
    model = models.build(name="resnet18", width=8)
    variables = model.init(jax.random.key(0), image, train=False)
    maps = features.choose_maps(model, variables, 34)
    for given in (image, np.float32(image / 255)):
        found = features.apply(variables, given, model=model, maps=maps)[1][:, -4:]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert features.count_details(maps) == 4


def test_squares_along_the_axes_are_scikit_learns_mahalanobis_distance(training, statistics):
    standard = (training - statistics.mean) / statistics.scale
    projected = standard @ statistics.axes
    along, _ = gate.coordinates(np.float32(training), statistics)
    expected = EmpiricalCovariance().fit(projected).mahalanobis(projected)
    np.testing.assert_allclose((np.asarray(along) ** 2).sum(1), expected, rtol=1e-3)


def test_the_limit_refuses_its_share_and_what_is_far_in_any_direction(training, statistics):
    strangeness = np.asarray(gate.strangeness(np.float32(training), statistics))
    limit = fit.limit(strangeness)
    assert (strangeness > limit).mean() == pytest.approx(fit.SLACK, abs=0.003)
    assert statistics.beside > 0
    assert (statistics.square >= 0).all()
    for direction in np.random.default_rng(1).normal(size=(20, 40)):  # that no stranger showed
        far = training.mean(0) + 100 * direction
        assert gate.strangeness(np.float32(far[None]), statistics)[0] > limit


def test_faces_of_further_data_count_for_the_limit_by_their_weight():
    own, further = np.arange(100.0), 1000 + np.arange(10.0)
    assert fit.limit(own) == pytest.approx(np.quantile(own, 0.97))
    # Of 1.01 in all, 0.03 are beyond: the further ones, and two of the first.
    assert fit.limit(own, [(further, 0.01)]) == pytest.approx(0.97 * 100.9)
    # Of 2 in all, 0.06 are beyond: less than one of ten that weigh 0.1 each.
    assert fit.limit(own, [(further, 1.0)]) == pytest.approx(1000 + 8.43)


def test_strangers_are_pictures_like_the_crops_and_none_of_them():
    crops = np.random.default_rng(0).integers(0, 256, (12, 50, 50, 3), np.uint8)
    made = strangers.make(crops, np.random.default_rng(1))
    assert (made.shape, made.dtype) == (crops.shape, crops.dtype)
    assert (made != crops).reshape(12, -1).any(1).all()
    np.testing.assert_array_equal(made, strangers.make(crops, np.random.default_rng(1)))
    # Four blocks that changed places hold the same pixels.
    np.testing.assert_array_equal(np.sort(made[0], axis=None), np.sort(crops[0], axis=None))
