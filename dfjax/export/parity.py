"""Whether an export computes what its run computes: every artefact, run by its own runtime."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from flax import linen as nn

from dfjax.errors import UserError
from dfjax.export import formats, savedmodel
from dfjax.familiarity import gate
from dfjax.inference import explain, runtimes
from dfjax.inference.network import Function, Network
from dfjax.media import image as media_image
from dfjax.model_card import ModelCard

BATCH_SIZES = (1, 3, 16)

# Largest deviations: of a score, of strangeness, which is a log-odds, and of a heat map, whose
# largest value is 1.
_TOLERANCE = {"score": 1e-5, "strangeness": 1e-3, "heat_map": 1e-3}
_TOLERANCE_16_BITS = {"score": 1e-3, "strangeness": 1e-2}  # of weights that `packed` rounded

# Largest deviation by artefact, runtime and quantity ("score", "logit", "strangeness", "heat_map").
Deviations: TypeAlias = dict[str, dict[str, dict[str, float]]]
Quantities: TypeAlias = dict[str, np.ndarray]  # [N], by name


def compare(
    folder: pathlib.Path,
    card: ModelCard,
    model: nn.Module,
    variables: dict[str, Any],
    crops: np.ndarray,
) -> Deviations:
    """Returns how far each artefact in `folder` is from an unfolded model, by each of its runtimes.

    `crops` are uint8 [N, S, S, 3] with N the largest of `BATCH_SIZES`.
    """
    bound = {"model": model, "image_size": card.image_size}
    predict = jax.jit(functools.partial(gate.predict, **bound, maps=card.maps))

    def network(pixels: np.ndarray) -> Quantities:
        return _with_score(predict(variables, pixels), card)

    expected = network(crops)
    deviations: Deviations = {}
    for name, runtime in runtimes.RUNTIMES.items():
        path = folder / runtime.artefact
        if path.exists():
            deviation = _deviations(runtime.open(path), crops, expected, card)
            deviations.setdefault(runtime.artefact, {})[name] = deviation
    saved_model, heat_maps = folder / formats.SAVED_MODEL, folder / formats.HEAT_MAPS
    if saved_model.exists():
        deviations[saved_model.name] |= _compare_signatures(saved_model, network, crops)
    if heat_maps.exists():
        heat_map = jax.jit(functools.partial(explain.heat_map, **bound))
        expected = np.asarray(heat_map(variables, crops))
        deviation = _deviation(runtimes.open_heat_maps(heat_maps), crops, expected)
        deviations[heat_maps.name] = {"stablehlo": {"heat_map": deviation}}
    return deviations


def tolerance(artefact: str) -> dict[str, float]:
    """Returns the largest deviations by quantity that an artefact may have."""
    return _TOLERANCE_16_BITS if artefact == formats.WEIGHTS else _TOLERANCE


def require_equal(deviations: Deviations) -> None:
    """Checks that no deviation is beyond `tolerance`; a NaN is.

    Raises:
      UserError: one is; the message names artefact, runtime and deviation.
    """
    for artefact, by_runtime in deviations.items():
        for runtime, by_quantity in by_runtime.items():
            for quantity, limit in tolerance(artefact).items():
                # Not "greater": NaN has to fail.
                if not by_quantity.get(quantity, 0.0) <= limit:
                    raise UserError(
                        f"{artefact} by {runtime} deviates from the Flax model by "
                        f"{by_quantity[quantity]:.2g} in {quantity} (allowed: {limit:g}): nothing "
                        "was written; leave its format out, or update its packages"
                    )


def _compare_signatures(
    path: pathlib.Path, network: Callable[[np.ndarray], Quantities], crops: np.ndarray
) -> dict[str, dict[str, float]]:
    """Deviations of the numbers that the SavedModel's own signatures return.

    Encoded crops are compared with what OpenCV decodes.
    """
    import tensorflow

    model = tensorflow.saved_model.load(str(path / savedmodel.VERSION))
    # By name: the signature, its input, and the crops that it stands for.
    cases = {
        "crops": ("crops", crops, crops),
        "float": ("float", crops.astype(np.float32) / 255, crops),
    }
    for encoding in ("jpeg", "png"):
        encoded = [media_image.encode_image(crop, encoding) for crop in crops]
        decoded = np.stack([media_image.decode_image(data) for data in encoded])
        cases[encoding] = ("serving_default", np.array(encoded, object), decoded)
    deviations = {}
    for name, (signature, inputs, pixels) in cases.items():
        deviations[f"savedmodel, {name}"] = _output_deviations(
            model.signatures[signature], inputs, network(pixels)
        )
    return deviations


def _output_deviations(
    signature: Any, inputs: np.ndarray, expected: Quantities
) -> dict[str, float]:
    """Deviations of a signature's outputs by their names."""
    import tensorflow

    (name,) = signature.structured_input_signature[1]

    def output(quantity: str, batch: np.ndarray) -> np.ndarray:
        return signature(**{name: tensorflow.constant(batch)})[quantity].numpy()

    return {
        quantity: _deviation(functools.partial(output, quantity), inputs, values)
        for quantity, values in expected.items()
    }


def _deviations(
    network: Network, inputs: np.ndarray, expected: Quantities, card: ModelCard
) -> dict[str, float]:
    """Deviations of what a runtime's network returns, and of the score of its logit."""

    def output(quantity: str, batch: np.ndarray) -> np.ndarray:
        return _with_score(network(batch), card)[quantity]

    return {
        quantity: _deviation(functools.partial(output, quantity), inputs, values)
        for quantity, values in expected.items()
    }


def _with_score(found: Mapping[str, Any], card: ModelCard) -> Quantities:
    arrays = {name: np.asarray(values) for name, values in found.items()}
    return {"score": card.score(arrays["logit"]), **arrays}


def _deviation(function: Function, inputs: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference at any of `BATCH_SIZES`; NaN where either side has one."""
    differences = [np.abs(function(inputs[:n]) - expected[:n]).max() for n in BATCH_SIZES]
    return float(np.max(differences))
