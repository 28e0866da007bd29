"""Networks with random weights: as fast as trained ones, and available for every model."""

import functools
import pathlib
from collections.abc import Collection

import jax
import numpy as np
import optax
from flax import linen as nn

from dfjax import model_card, models, steps
from dfjax.faces.crop_spec import CropSpec


def make_state(model: nn.Module, size: int, tx: optax.GradientTransformation) -> steps.TrainState:
    """Returns the state of a model of `size` px before the first update."""
    init = functools.partial(steps.init, model=model, tx=tx, image_size=size, ema=False)
    return jax.jit(init)(jax.random.key(0))


def write_export(folder: str, name: str, size: int, formats: Collection[str]) -> None:
    """Writes the export of a model of `size` px; the decision on its card means nothing."""
    # Here, because what it loads would count as memory of networks that are not exported.
    from dfjax.export import export

    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=size)
    limits = (model_card.Limits(1, 0.5, 0.5, 1.0),)
    decisions = {"frame": model_card.Decision(0.05, 0.5, (0.0, 1.0), limits, {})}
    card = model_card.ModelCard(name, {}, size, spec, decisions, "", 0, True, {})
    model = models.build(name)
    variables = jax.device_get(make_state(model, size, optax.identity()).eval_variables)
    export.write(pathlib.Path(folder), card, model, variables, formats)


def make_crops(count: int, size: int) -> np.ndarray:
    """Returns crops of noise, uint8 [count, size, size, 3]."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
