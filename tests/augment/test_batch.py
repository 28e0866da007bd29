"""What pairs go through: who shares what, and that nothing depends on batch or device."""

import functools
import re

import jax
import numpy as np
import pytest

from dfjax import sharding
from dfjax.augment import batch, cutout
from dfjax.augment.settings import Settings
from dfjax.errors import UserError
from tests.augment import materials

pytestmark = pytest.mark.usefixtures("quick_compilation")

ALL = Settings(
    flip=0.5,
    rotate=10.0,
    zoom=0.1,
    shift=0.05,
    colour=0.2,
    blur=0.5,
    noise=0.5,
    jpeg=0.5,
    mixup=0.5,
    cutout=0.5,
    blends=True,
)


@functools.cache
def _jitted(settings: Settings):
    return jax.jit(functools.partial(batch.augment, settings=settings))


def _augment(pairs, settings: Settings, seed: int = 0) -> dict[str, np.ndarray]:
    return jax.device_get(_jitted(settings)(pairs, jax.random.key(seed)))


@pytest.fixture(scope="module")
def pairs() -> dict[str, np.ndarray]:
    """Eight pairs of all kinds, the first two forgeries aligned."""
    pairs = materials.batch(materials.heads(16, 64)[0])
    pairs["kind"] = np.repeat(np.int32([0, 0, 0, 1, 1, 2, 2, 3]), 2)
    pairs["aligned"] = np.repeat(np.arange(8) < 2, 2)
    return pairs


def test_a_pair_is_the_same_at_any_place_and_on_any_device_which_exchange_nothing(pairs):
    whole = _augment(pairs, ALL)
    mesh, key = sharding.make_mesh(), jax.random.key(0)
    augment = jax.jit(
        functools.partial(batch.augment, settings=ALL), out_shardings=sharding.by_batch(mesh)
    )
    dealt = sharding.put_batch(pairs, mesh)
    on_four = augment.lower(dealt, key).compile()
    parts = jax.device_get(on_four(dealt, key))
    np.testing.assert_array_equal(parts["label"], whole["label"])
    np.testing.assert_array_equal(parts["image"], whole["image"])
    exchange = r"(all-reduce|all-gather|all-to-all|collective-permute)(-start)?\("
    assert not re.search(exchange, on_four.as_text())
    reordered = _augment(
        {k: v.reshape(8, 2, *v.shape[1:])[::-1].reshape(v.shape) for k, v in pairs.items()}, ALL
    )
    for name, values in reordered.items():
        back = values.reshape(8, 2, *values.shape[1:])[::-1].reshape(values.shape)
        np.testing.assert_array_equal(back, whole[name])
    assert (_augment(pairs, ALL, seed=1)["image"] != whole["image"]).mean() > 0.5


def test_what_is_off_leaves_pairs_as_they_are(pairs):
    found = _augment(pairs, Settings())
    np.testing.assert_array_equal(found["image"], pairs["image"])
    np.testing.assert_array_equal(found["label"], np.arange(16) % 2)
    assert found["label"].dtype == np.float32


def test_aligned_pairs_share_their_draws_and_others_do_not():
    settings = Settings(
        flip=0.5, rotate=10.0, colour=0.2, blur=0.5, noise=0.5, jpeg=0.5, cutout=0.5
    )
    images = materials.twice(materials.heads(8, 64)[0])
    shared = _augment(materials.batch(images, aligned=True), settings)["image"]
    np.testing.assert_array_equal(shared[::2], shared[1::2])
    assert (shared[::2] != images[::2]).any((1, 2, 3)).all()
    own = _augment(materials.batch(images, aligned=False), settings)["image"]
    assert (own[::2] != own[1::2]).any((1, 2, 3)).all()


def test_only_aligned_forgeries_are_mixed_and_labels_say_how_far(pairs):
    found = _augment(pairs, Settings(mixup=1.0))
    image, share = found["image"].astype(float), found["label"][1::2]
    real, fake = (pairs["image"][row::2].astype(float) for row in (0, 1))
    np.testing.assert_array_equal(found["label"][::2], 0)
    assert (share[:2] > 0).all()
    assert (share[:2] < 1).all()
    assert (share[2:] == 1).all()
    weight = share[:, None, None, None]
    assert np.abs(image[1::2] - (weight * fake + (1 - weight) * real)).max() <= 0.51
    np.testing.assert_array_equal(image[::2], real)
    often = _augment(pairs, Settings(mixup=0.5))["label"][1::2]
    assert ((often == share) | (often == 1)).all()


def _forged(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pairs whose fakes differ within a random square."""
    images = materials.twice(images)
    for fake in images[1::2]:
        x, y = rng.integers(12, 40, 2)
        fake[y : y + 14, x : x + 14] = 255 - fake[y : y + 14, x : x + 14]
    return images


def test_cutouts_are_the_same_in_both_and_leave_the_forgery_visible():
    images = _forged(materials.heads(32, 64)[0], np.random.default_rng(0))
    found = _augment(materials.batch(images, aligned=True), Settings(cutout=1.0))["image"]
    hidden = (found == 0).all(-1) & (images != 0).any(-1)
    np.testing.assert_array_equal(hidden[::2], hidden[1::2])
    np.testing.assert_array_equal(found[~hidden], images[~hidden])
    forged = (images[::2] != images[1::2]).any(-1)
    share = (hidden[::2] & forged).sum((1, 2)) / forged.sum((1, 2))
    assert share.max() <= cutout.HIDDEN_LIMIT + 0.1  # the limit is on the smoothed difference
    assert share.max() > 0.1
    area = hidden[::2].mean((1, 2))
    assert (area > 0.01).mean() > 0.8
    assert area.max() < 0.5


def test_cutouts_of_unaligned_pairs_are_each_their_own():
    images = materials.twice(materials.heads(8, 64)[0])
    found = _augment(materials.batch(images), Settings(cutout=1.0))["image"]
    hidden = (found == 0).all(-1)
    assert (hidden[::2] != hidden[1::2]).any((1, 2)).all()
    assert (hidden.mean((1, 2)) > 0.005).all()


@pytest.mark.parametrize("field", ["mixup", "cutout", "jpeg"])
def test_a_probability_that_is_none_is_named(field):
    with pytest.raises(UserError, match=rf"augment\.{field} is 1\.5: use a probability"):
        Settings(**{field: 1.5})


@pytest.mark.parametrize(("field", "value"), [("rotate", -3.0), ("zoom", 1.0), ("colour", 2.0)])
def test_a_limit_that_is_none_is_named(field, value):
    with pytest.raises(UserError, match=rf"augment\.{field} is {value}: use a number from 0 to"):
        Settings(**{field: value})
