"""Degradations: one draw for a pair, rising strengths, and codecs against Pillow and FFmpeg."""

import dataclasses
import io

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from dfjax import config
from dfjax.data.degradations import codecs, noise, scale, smoothing, tone
from dfjax.data.degradations.chain import Chain
from dfjax.data.degradations.dice import Dice
from dfjax.data.degradations.publication import PLACES, Publication
from dfjax.data.degradations.shuffled import Shuffled
from dfjax.data.degrade import Degrade
from dfjax.errors import UserError
from dfjax.media import encode

SETTINGS = config.base().degrade.to_dict()
OFF = Degrade(**SETTINGS)
ALWAYS = dataclasses.replace(OFF, probability=1.0)
SHUFFLED = Shuffled(**SETTINGS["shuffled"])
OPERATIONS = [name for name in dir(Shuffled) if name.startswith("draw_")]


def _picture(seed: int, side: int = 96) -> np.ndarray:
    """Patches of soft colour with some texture."""
    rng = np.random.default_rng(seed)
    soft = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (side, side))
    return (soft + rng.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8)


def _psnr(image: np.ndarray, other: np.ndarray) -> float:
    return cv2.PSNR(image, np.ascontiguousarray(other))


def _published_as(place: str) -> Publication:
    chosen = {name: float(name == place) for name in PLACES}
    return Publication(**{**SETTINGS["publication"], **chosen})


def test_off_is_the_identity_and_draws_nothing():
    rng = np.random.default_rng(0)
    images = [_picture(0), _picture(1)]
    assert [a is b for a, b in zip(OFF(images, rng), images, strict=True)] == [True, True]
    assert rng.random() == np.random.default_rng(0).random()


def test_so_many_calls_change_something():
    image = _picture(0, side=32)
    half = dataclasses.replace(OFF, probability=0.5)
    changed = [half([image], np.random.default_rng(i))[0] is not image for i in range(400)]
    assert abs(np.mean(changed) - 0.5) < 0.1


@pytest.mark.parametrize("seed", range(30))
def test_equal_images_stay_equal_and_others_differ_where_they_did(seed):
    real = _picture(0)
    fake = real.copy()
    fake[32:64, 32:64] = _picture(1)[32:64, 32:64]
    before = [image.copy() for image in (real, fake)]
    first, same, other = ALWAYS([real, real.copy(), fake], np.random.default_rng(seed))
    assert (first.shape, first.dtype) == (real.shape, np.uint8)
    np.testing.assert_array_equal(first, same)
    # Blur spreads a difference, and so do the predictions of codecs: most of it stays inside.
    difference = np.abs(first.astype(float) - other).mean(-1)
    assert difference[32:64, 32:64].mean() > 8 * difference[:16].mean()
    np.testing.assert_array_equal([real, fake], before)


def test_what_is_done_depends_on_the_generator_alone():
    image, other = _picture(0), dataclasses.replace(ALWAYS)
    ALWAYS([_picture(2)], np.random.default_rng(9))
    results = [each([image], np.random.default_rng(4))[0] for each in (ALWAYS, other)]
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(results[0], ALWAYS([image], np.random.default_rng(5))[0])


def test_images_of_two_sizes_keep_theirs():
    images = [_picture(0, side=96), _picture(0, side=61)]
    for seed in range(20):
        degraded = ALWAYS(images, np.random.default_rng(seed))
        assert [image.shape for image in degraded] == [(96, 96, 3), (61, 61, 3)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_more_strength_is_less_of_the_picture(name):
    image = _picture(0)

    def psnr(strength: float, seed: int) -> float:
        dice = Dice(np.random.default_rng(seed), strength)
        operation = scale.keep_size([getattr(SHUFFLED, name)(dice)], cv2.INTER_LINEAR)
        return _psnr(image, operation(image))

    means = [np.mean([min(psnr(s, seed), 60) for seed in range(12)]) for s in (0.1, 0.4, 1.0)]
    assert means == sorted(means, reverse=True)
    assert means[0] > means[-1] + 1


def test_operations_come_in_every_order_and_as_often_as_asked():
    settings = {name: 0.0 for name in SETTINGS["shuffled"] if not name.count("_")}
    certain = {**SETTINGS["shuffled"], **settings, "strong_noise": 0.0, "jpeg": 1.0, "tone": 1.0}
    draw = Shuffled(**certain).draw
    orders = [
        tuple(operation.func for operation in draw(Dice(np.random.default_rng(i), 0.5)))
        for i in range(200)
    ]
    jpeg_first = orders.count((codecs._recode, tone.change_tone))
    assert jpeg_first + orders.count((tone.change_tone, codecs._recode)) == 200
    assert 70 < jpeg_first < 130


def test_a_chain_has_so_many_cycles_and_ends_at_the_drawn_size():
    chain = Chain(1.0, cycles=(2, 4), quality=(60, 90), size=(0.5, 0.5))
    lengths = set()
    for seed in range(30):
        operations = chain.draw(Dice(np.random.default_rng(seed), 0.5))
        lengths.add(len(operations) // 2)
        image = _picture(0)
        for operation in operations:
            image = operation(image)
        assert image.shape == (48, 48, 3)
    assert lengths == {2, 3, 4}
    assert dataclasses.replace(chain, probability=0.0).draw(Dice(np.random.default_rng(), 1)) == []


def test_places_of_publication_are_as_frequent_as_asked():
    published = Publication(**{**SETTINGS["publication"], "jpeg": 0.5, "film": 0.0})
    drawn = [published.draw(Dice(np.random.default_rng(i), 0.5)) for i in range(1000)]
    # .5 JPEG; .15 twice; .15 WebP, .05 AVIF; .1 shrunk; .05 nothing.
    assert abs(np.mean([len(each) == 1 for each in drawn]) - 0.70) < 0.05
    assert abs(np.mean([len(each) == 2 for each in drawn]) - 0.25) < 0.05


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif"])
def test_pictures_are_those_that_pillow_decodes(codec):
    image = _picture(0)
    (operation,) = _published_as(codec).draw(Dice(np.random.default_rng(0), 0.5))
    file = encode.encode_picture(image, codec, operation.keywords["quality"])
    expected = np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)
    assert np.abs(operation(image) - expected).mean() < 1.5  # decoders round, and scale chroma
    assert _psnr(image, operation(image)) < 45


def test_a_film_is_the_frame_that_opencv_decodes(tmp_path):
    image = _picture(0)
    frames = [codecs._moved(image, (0.01, -0.02), number - 2) for number in range(5)]
    np.testing.assert_array_equal(frames[2], image)
    # A step is .96 pixels to the right and 1.92 up.
    moved = frames[3][10:80, 10:80].astype(int) - image[12:82, 9:79]
    assert np.abs(moved).mean() < 0.5 * np.abs(frames[3].astype(int) - image).mean()
    (tmp_path / "a.mp4").write_bytes(encode.encode_film(frames, "h264", 30))
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    expected = [video.read()[1] for _ in range(5)][2]
    found = codecs.film(image, 30, (0.01, -0.02))
    # In gray, because the decoders scale chroma up in two ways.
    gray = cv2.cvtColor(found, cv2.COLOR_RGB2GRAY), cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY)
    assert np.abs(np.subtract(*gray, dtype=int)).mean() < 1.5
    worse = [_psnr(image, codecs.film(image, crf, (0.01, -0.02))) for crf in (17, 28, 40)]
    assert worse == sorted(worse, reverse=True)


def test_smoothing_is_that_of_scipy():
    image = _picture(0)
    for sigmas, angle, expected in (((2.0, 0.5), 0.0, (0.5, 2.0)), ((2, 0.5), np.pi / 2, (2, 0.5))):
        found = smoothing.smooth_along_axes(image, tuple(np.array(sigmas) / 96), angle)
        scipy = ndimage.gaussian_filter(image.astype(float), (*expected, 0), mode="mirror")
        assert np.abs(found - scipy)[8:-8, 8:-8].max() < 1.5
    round_one = smoothing.smooth(image, 1.5 / 96)
    scipy = ndimage.gaussian_filter(image.astype(float), (1.5, 1.5, 0), mode="mirror")
    assert np.abs(round_one - scipy).mean() < 0.5
    box = smoothing.smooth_by_box(image, np.sqrt(25 / 12) / 96)  # five pixels
    scipy = ndimage.uniform_filter(image.astype(float), (5, 5, 1), mode="mirror")
    assert np.abs(box - scipy).max() < 1


def test_noise_is_as_strong_as_asked():
    gray = np.full((300, 300, 3), 100, np.uint8)
    mixing = np.eye(3, dtype=np.float32)
    assert (noise.add_noise(gray, 10.0, mixing, 1) - 100.0).std() == pytest.approx(10, rel=0.02)
    assert (noise.add_speckle(gray, 0.1, mixing, 1) - 100.0).std() == pytest.approx(10, rel=0.02)
    # 1000 at white are 392.2 here, whose deviation is their root: 19.80, times .255.
    counted = noise.add_photon_noise(gray, 1000.0, mixing, 1) - 100.0
    assert counted.std() == pytest.approx(5.05, rel=0.02)
    for seed in range(5):  # whatever is mixed, each channel has the deviation that was asked for
        mixing = noise._draw_mixing(Dice(np.random.default_rng(seed), 1.0))
        noisy = noise.add_noise(gray, 10.0, mixing, seed) - 100.0
        np.testing.assert_allclose(noisy.std((0, 1)), 10, rtol=0.02)


def test_tone_multiplies_values_or_their_distances_from_mid_gray():
    image = np.array([[[50, 101, 250]]], np.uint8)
    assert tone.change_tone(image, 1.2, contrast=False).tolist() == [[[60, 121, 255]]]
    # 127.5 + .5 * (50 - 127.5) = 88.75.
    assert tone.change_tone(image, 0.5, contrast=True).tolist() == [[[89, 114, 189]]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": 1.5}, "degrade.probability is 1.5: use a probability from 0 to 1"),
        ({"chain": {"probability": -1.0}}, "degrade.chain.probability is -1.0"),
        ({"shuffled": {"tone": 2.0}}, "degrade.shuffled.tone is 2.0"),
        ({"publication": {"jpeg": 0.5}}, "probabilities of 1.05 together: use 1 at most"),
        ({"strength": (0.0, 1.0)}, r"degrade.strength is \(0.0, 1.0\): use two numbers above 0"),
        ({"chain": {"cycles": (5, 1)}}, r"degrade.chain.cycles is \(5, 1\): give the fewer first"),
        (
            {"chain": {"size": (0.0, 1.0)}},
            "degrade.chain.size is .*: use two numbers from 0.05 to 4",
        ),
        (
            {"shuffled": {"jpeg_quality": (95.0, 250.0)}},
            r"shuffled.jpeg_quality is \(95.0, 250.0\): use two numbers from 0 to 100",
        ),
        ({"shuffled": {"noise_sigma": (1.0,)}}, r"noise_sigma is \(1.0,\): use two numbers"),
        (
            {"publication": {"film_crf": (17.0, 60.0)}},
            "film_crf is .*: use two numbers from 0 to 51",
        ),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    changed = {
        name: {**SETTINGS[name], **value} if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    with pytest.raises(UserError, match=message):
        Degrade(**{**SETTINGS, **changed})
