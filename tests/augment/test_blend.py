"""Blends: the same bits outside the mask, and no trace of having been made but the blend."""

import functools
import io
import os
import pathlib

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn import linear_model, metrics, pipeline, preprocessing

from dfjax.augment import batch, blend, face, geometry, masks, retouch
from dfjax.augment.settings import Settings
from dfjax.data import sampling
from tests.augment import materials

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZE = 160
MARGIN = 24  # pixels outside the mask from which blocks are taken
# All that keeps pixels in their places: masks are compared with what they were drawn for.
LATER = {"colour": 0.2, "blur": 0.3, "noise": 0.3, "jpeg": 0.7}
BLENDS = (sampling.SELF_BLEND, sampling.CROSS_BLEND, sampling.NEIGHBOUR_BLEND)


@functools.cache
def _jitted(settings: Settings):
    return jax.jit(functools.partial(batch.augment, settings=settings))


def _augment(pairs, **fields) -> dict[str, np.ndarray]:
    return jax.device_get(_jitted(Settings(**fields))(pairs, jax.random.key(0)))


def _far_from(masks: np.ndarray) -> np.ndarray:
    """Pixels at least `MARGIN` outside masks bool [N, S, S]."""
    kernel = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    return np.stack([cv2.dilate(mask.astype(np.uint8), kernel) == 0 for mask in masks])


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    return materials.heads(24, SIZE, eyes=0.16)


def _self_blended(images, landmarks, kind=sampling.SELF_BLEND) -> dict[str, np.ndarray]:
    return materials.batch(materials.twice(images), kind=kind, landmarks=materials.twice(landmarks))


def test_real_and_fake_are_the_same_bits_outside_the_mask_after_all_that_follows(drawn):
    pairs = _self_blended(*drawn)
    plain, later = _augment(pairs, blends=True), _augment(pairs, blends=True, **LATER)
    np.testing.assert_array_equal(plain["label"], later["label"])
    differs = (plain["image"][::2] != plain["image"][1::2]).any(-1)
    assert (differs.mean((1, 2)) > 0.002).mean() > 0.9
    assert differs.mean() < 0.3
    far = _far_from(differs)
    assert far.mean() > 0.2
    np.testing.assert_array_equal(later["image"][::2][far], later["image"][1::2][far])


def test_the_real_is_transformed_in_half_of_the_pairs(drawn):
    pairs = _self_blended(*drawn)
    real = _augment(pairs, blends=True)["image"][::2]
    changed = (real != drawn[0]).any((1, 2, 3))
    assert 5 <= changed.sum() <= 19


def test_what_does_not_show_is_not_called_fake(drawn):
    """32 pixels of 112 x 112 have to differ by more than 4 grey levels, smoothed by OpenCV."""
    pairs = {
        name: np.tile(x, (8, *[1] * (x.ndim - 1))) for name, x in _self_blended(*drawn).items()
    }
    pairs["index"] = np.arange(192).repeat(2)
    found = _augment(pairs, blends=True)
    real, fake = (found["image"][row::2].astype(np.float32) for row in (0, 1))
    differs = [cv2.blur(each, (5, 5)) > 4 for each in np.abs(real - fake).mean(-1)]
    area = np.mean(differs, (1, 2))
    limit = 32 / 112**2
    near = np.abs(area - limit) < 0.2 * limit  # pixels are rounded after it was decided
    np.testing.assert_array_equal(found["label"][1::2][~near], (area > limit)[~near])
    assert not found["label"][::2].any()
    assert 0 < (found["label"][1::2] == 0).sum() < 40


def test_other_pairs_are_not_blended(drawn):
    images, landmarks = drawn
    pairs = materials.batch(images, kind=sampling.FORGERY, landmarks=landmarks)
    np.testing.assert_array_equal(_augment(pairs, blends=True)["image"], images)


@pytest.mark.parametrize("count", [0, 5, 68])
def test_masks_lie_on_the_face_and_reach_from_0_to_1(count):
    landmarks = {0: np.zeros((0, 2)), 5: materials.LANDMARKS, 68: _face_of_68()}[count]
    draw = jax.jit(jax.vmap(lambda key: blend.draw_mask(jnp.asarray(landmarks), 64, key)))
    found = np.asarray(draw(jax.random.split(jax.random.key(count), 64)))
    np.testing.assert_array_equal(found.min((1, 2)), 0)
    assert found.max((1, 2)).min() > 0.95
    weight = found.mean(0)
    middle = (weight[..., None] * geometry.grid(64).transpose(1, 2, 0)).sum((0, 1)) / weight.sum()
    np.testing.assert_allclose(middle, [0.5, 0.6], atol=0.07)
    area = (found > 0).mean((1, 2))
    assert area.min() > 0.004
    assert area.max() < 0.5
    assert area.std() > 0.05
    assert len(np.unique(np.round(area, 3))) > 40


def _face_of_68() -> np.ndarray:
    """dlib's 68 landmarks of a face like that of `materials.LANDMARKS`: jaw, brows, nose, ..."""
    angles = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.28 * np.cos(angles), 0.45 + 0.42 * np.sin(angles)], 1)
    brows = np.stack([np.linspace(0.3, 0.7, 10), np.full(10, 0.34)], 1)
    nose = np.stack([np.full(9, 0.5), np.linspace(0.42, 0.6, 9)], 1)
    eyes = np.repeat([[0.38, 0.42], [0.62, 0.42]], 6, 0)
    mouth = np.tile([0.5, 0.72], (20, 1))
    mouth[[0, 12]], mouth[[6, 16]] = (0.41, 0.72), (0.59, 0.72)
    return np.concatenate([jaw, brows, nose, eyes, mouth]).astype(np.float32)


def test_parts_of_a_face_are_where_its_landmarks_say():
    for landmarks in (materials.LANDMARKS, _face_of_68()):
        expected = [[0.38, 0.42], [0.62, 0.42], [0.5, 0.56], [0.4, 0.7], [0.6, 0.7]]
        np.testing.assert_allclose(face.parts(jnp.asarray(landmarks)), expected, atol=0.05)


def test_a_hull_is_that_of_opencv():
    points = np.random.default_rng(0).uniform(0.2, 0.8, (12, 2)).astype(np.float32)
    found = np.asarray(masks.hull(jnp.asarray(geometry.grid(96)), jnp.asarray(points))) > 0
    expected = np.zeros((96, 96), np.uint8)
    corners = cv2.convexHull(np.rint((points * 96 - 0.5) * 16).astype(np.int32))
    cv2.fillConvexPoly(expected, corners, 1, shift=4)
    overlap = (found & (expected > 0)).sum() / (found | (expected > 0)).sum()
    assert overlap > 0.93


def test_colours_are_matched_within_the_mask():
    rng = np.random.default_rng(0)
    image, target = rng.normal(80, 30, (3, 32, 32)), rng.normal(150, 20, (3, 32, 32))
    weight = np.zeros((32, 32))
    weight[8:24, 8:24] = 1
    found = np.asarray(retouch.match_colour(*map(jnp.float32, (image, target, weight))))
    inside = np.s_[:, 8:24, 8:24]
    np.testing.assert_allclose(found[inside].mean((1, 2)), target[inside].mean((1, 2)), atol=0.5)
    np.testing.assert_allclose(found[inside].std((1, 2)), target[inside].std((1, 2)), rtol=0.05)


def _features(image: np.ndarray, far: np.ndarray) -> np.ndarray:
    """What the 8 x 8 blocks of a picture far from the face tell of its compression.

    Mean size of every DCT coefficient and how often it is nearly 0, and the steps at the borders of
    blocks against those within.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    corners = [
        (y, x)
        for y in range(0, len(luma) - 7, 8)
        for x in range(0, len(luma) - 7, 8)
        if far[y : y + 8, x : x + 8].all()
    ]
    blocks = np.stack([cv2.dct(luma[y : y + 8, x : x + 8]) for y, x in corners]).reshape(-1, 64)
    steps, both = np.abs(np.diff(luma, axis=1)), far[:, 1:] & far[:, :-1]
    at_border = np.broadcast_to(np.arange(1, luma.shape[1]) % 8 == 0, steps.shape)
    blockiness = np.log1p(steps[both & at_border].mean()) - np.log1p(
        steps[both & ~at_border].mean()
    )
    return np.concatenate(
        [np.log1p(np.abs(blocks).mean(0)), (np.abs(blocks) < 0.5).mean(0), [blockiness]]
    )


def _audit(images: np.ndarray, far: np.ndarray) -> float:
    """AUC of a logistic regression that tells fakes by blocks far from the face alone.

    It learns from the pairs of one half of the pictures, and judges the other half.
    """
    features = np.stack([_features(*row) for row in zip(images, materials.twice(far), strict=True)])
    label, half = np.arange(len(images)) % 2, len(images) // 4 * 2
    model = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.1, max_iter=1_000)
    )
    model.fit(features[:half], label[:half])
    return metrics.roc_auc_score(label[half:], model.decision_function(features[half:]))


def _leaking(images: np.ndarray) -> np.ndarray:
    """The pairs with the known fault: the fake alone is encoded once more."""
    rng = np.random.default_rng(0)
    images = images.copy()
    for row in range(1, len(images), 2):
        file = io.BytesIO()
        Image.fromarray(images[row]).save(file, "JPEG", quality=int(rng.integers(50, 90)))
        images[row] = np.asarray(Image.open(file))
    return images


def _check_periphery(pictures: np.ndarray, landmarks: np.ndarray) -> None:
    pairs = _self_blended(pictures, landmarks)
    plain = _augment(pairs, blends=True)["image"]
    far = _far_from((plain[::2] != plain[1::2]).any(-1))
    usable = far.mean((1, 2)) > 0.1
    assert usable.mean() > 0.7
    rows = np.repeat(usable, 2)
    images = _augment(pairs, blends=True, **LATER)["image"]
    assert _audit(images[rows], far[usable]) <= 0.52
    assert _audit(_leaking(plain[rows]), far[usable]) > 0.8  # it finds what there is to find


def test_the_periphery_of_drawn_faces_does_not_tell_a_fake():
    _check_periphery(*materials.heads(24, SIZE, eyes=0.16))


@pytest.mark.skipif("DFJAX_TEST_DATA" not in os.environ, reason="needs real photographs")
def test_the_periphery_of_photographs_does_not_tell_a_fake():
    files = sorted(pathlib.Path(os.environ["DFJAX_TEST_DATA"], "ffhq_real").glob("*.jpg"))[:100]
    pictures = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    pictures = [
        cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA) for picture in pictures
    ]
    _check_periphery(np.stack(pictures), np.zeros((len(files), 0, 2), np.float32))
