"""Networks with random weights: as fast as trained ones, and available for every model."""

import functools

import jax
import numpy as np
import optax
from flax import linen as nn

from dfjax import model_card, steps
from dfjax.faces.crop_spec import CropSpec


def make_state(model: nn.Module, size: int, tx: optax.GradientTransformation) -> steps.TrainState:
    """Returns the state of a model of `size` px before the first update."""
    init = functools.partial(steps.init, model=model, tx=tx, image_size=size, ema=False)
    return jax.jit(init)(jax.random.key(0))


def make_card(name: str, size: int) -> model_card.ModelCard:
    """Returns a card that `export.write` accepts; its decision means nothing."""
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=size)
    limits = (model_card.Limits(1, 0.5, 0.5, 1.0),)
    decisions = {"frame": model_card.Decision(0.05, 0.5, (0.0, 1.0), limits, {})}
    return model_card.ModelCard(name, {}, size, spec, decisions, "", 0, True, {})


def make_crops(count: int, size: int) -> np.ndarray:
    """Returns crops of noise, uint8 [count, size, size, 3]."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
