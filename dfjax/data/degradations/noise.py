"""Noise of sensors: Gaussian, speckle and photons. Images of one size get the same field of it."""

import functools

import numpy as np

from dfjax.data.degradations.dice import Bounds, Dice, Operation

_COLOURED, _GRAY, _CORRELATED = 0.4, 0.4, 0.2


def draw_noise(dice: Dice, sigma: Bounds) -> Operation:
    """Returns Gaussian noise; `sigma` bounds its standard deviation, in levels of 255."""
    mixing, seed = _draw_mixing(dice), dice.seed()
    return functools.partial(add_noise, sigma=dice.amount(sigma), mixing=mixing, seed=seed)


def draw_grain(dice: Dice, speckle: Bounds, photons: Bounds) -> Operation:
    """Returns noise that grows with the light: speckle or photons, each as likely.

    `speckle` bounds its standard deviation as a share of the value, `photons` those of a white
    pixel, the logarithm of which is drawn.
    """
    mixing, seed = _draw_mixing(dice), dice.seed()
    if dice.happens(0.5):
        return functools.partial(add_speckle, sigma=dice.amount(speckle), mixing=mixing, seed=seed)
    white = float(np.exp(dice.amount(tuple(np.log(photons)))))
    return functools.partial(add_photon_noise, white=white, mixing=mixing, seed=seed)


def add_noise(image: np.ndarray, sigma: float, mixing: np.ndarray, seed: int) -> np.ndarray:
    """Adds noise of this standard deviation, whose channels `mixing` [3, 3] makes."""
    return _to_bytes(image + sigma * _field(image, mixing, seed))


def add_speckle(image: np.ndarray, sigma: float, mixing: np.ndarray, seed: int) -> np.ndarray:
    """Multiplies by 1 and noise of this standard deviation."""
    return _to_bytes(image * (1 + sigma * _field(image, mixing, seed)))


def add_photon_noise(image: np.ndarray, white: float, mixing: np.ndarray, seed: int) -> np.ndarray:
    """Adds noise as if photons were counted, `white` of them where a value is 255.

    It is normal, not Poisson's, whose draws would lose step where two images differ.
    """
    return _to_bytes(image + np.sqrt(image * (255 / white)) * _field(image, mixing, seed))


def _draw_mixing(dice: Dice) -> np.ndarray:
    """What three independent fields are multiplied by, float32 [3, 3], columns of length 1."""
    gray = np.zeros((3, 3))
    gray[0] = 1
    correlated = dice.rng.standard_normal((3, 3))
    correlated /= np.linalg.norm(correlated, axis=0)
    mixing = dice.choose((np.eye(3), gray, correlated), (_COLOURED, _GRAY, _CORRELATED))
    return mixing.astype(np.float32)


def _field(image: np.ndarray, mixing: np.ndarray, seed: int) -> np.ndarray:
    """Noise of standard deviation 1, float32 [H, W, 3]."""
    return np.random.default_rng(seed).standard_normal(image.shape, np.float32) @ mixing


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)
