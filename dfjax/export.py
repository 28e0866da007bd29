"""A finished run as files for other programs: SavedModel, StableHLO and ONNX.

Every artefact takes whole face crops, computes in float32 and has BatchNorm folded in. An export
exists only if each artefact, loaded by its own runtime, gives the scores of the run's own model.
"""

import contextlib
import functools
import importlib.util
import io
import json
import logging
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dfjax import compatibility, model_card, steps
from dfjax.errors import UserError
from dfjax.inference import explain, runtimes
from dfjax.media import image as media_image
from dfjax.model_card import ModelCard
from dfjax.models import fold
from dfjax.run import Run

TOLERANCE = 1e-5  # largest deviation of a score
HEAT_TOLERANCE = 1e-3  # of a heat map, whose largest value is 1
BATCH_SIZES = (1, 3, 16)

_PLATFORMS = ("cpu", "cuda", "tpu")
_PACKAGES = {
    "savedmodel": ("tensorflow", "orbax.export"),
    "stablehlo": (),
    "onnx": ("jax2onnx", "onnxruntime", "openvino"),
}
FORMATS = tuple(_PACKAGES)
_FILES = {each.artefact for each in runtimes.RUNTIMES.values()}
_FILES |= {runtimes.HEAT_MAPS, runtimes.REPORT, model_card.FILE}

Predict = Callable[[dict[str, Any], jax.Array], jax.Array]


def export(
    workdir: str | os.PathLike, out: str | os.PathLike, formats: Sequence[str] = FORMATS
) -> dict[str, Any]:
    """Writes the run in `workdir` as the folder `out` and returns what was compared.

    The report, also OUT/export.json, has under `deviations` for each artefact and runtime the
    largest differences of `score` and `logit` (of a heat map: of its values) from the unfolded
    Flax model, over crops of the run's validation split. An older export in `out` is replaced.

    Raises:
      UserError: no evaluated run; its validation data are gone; an unknown format or one whose
        packages are missing; `out` holds something else; an artefact deviates by more than
        `TOLERANCE`. `out` is then as it was.
    """
    out = pathlib.Path(out).absolute()
    _require_packages(formats)
    _require_free(out)
    run = Run.open(workdir)
    crops = _validation_crops(run)
    card, model, variables = run.evaluated()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as parent:
        folder = pathlib.Path(parent, "new")
        folder.mkdir()
        write(folder, card, model, variables, formats)
        report = {
            "format": compatibility.EXPORT.current,
            "model": card.model_name,
            "weights": card.weights,
            "step": card.step,
            "jax": jax.__version__,
            "crops": len(crops),
            "batch_sizes": list(BATCH_SIZES),
            "tolerance": {"score": TOLERANCE, "heat_map": HEAT_TOLERANCE},
            "deviations": compare(folder, card, model, variables, crops),
        }
        _require_equal(report["deviations"])
        (folder / runtimes.REPORT).write_text(json.dumps(report, indent=2) + "\n")
        if out.exists():
            out.rename(pathlib.Path(parent, "old"))
        folder.rename(out)
    return report


def write(
    folder: pathlib.Path,
    card: ModelCard,
    model: nn.Module,
    variables: dict[str, Any],
    formats: Sequence[str] = FORMATS,
) -> None:
    """Writes artefacts of a float32 model, unfolded, and its card into an empty folder.

    `variables` are numpy arrays. Nothing is compared.
    """
    model, variables = fold.fold(model, variables)
    bound = {"model": model, "image_size": card.image_size}
    predict = functools.partial(steps.predict, **bound)
    if "savedmodel" in formats:
        _write_savedmodel(folder / "saved_model" / "1", predict, variables, card)
    if "stablehlo" in formats:
        heat_map = functools.partial(explain.heat_map, **bound)
        _write_stablehlo(folder / "score.stablehlo", predict, variables, card)
        _write_stablehlo(folder / runtimes.HEAT_MAPS, heat_map, variables, card)
    if "onnx" in formats:
        _write_onnx(folder / "model.onnx", predict, variables, card)
    card.write(folder)


def _write_savedmodel(
    path: pathlib.Path, predict: Predict, variables: dict[str, Any], card: ModelCard
) -> None:
    import tensorflow as tf
    from orbax import export as orbax_export

    module = orbax_export.JaxModule(
        variables,
        predict,
        input_polymorphic_shape="b, ...",
        jax2tf_kwargs={"native_serialization_platforms": _PLATFORMS},
    )
    size = card.crop_spec.size
    crops = (None, size, size, 3)
    inputs = {
        "serving_default": tf.TensorSpec((None,), tf.string, "image_bytes"),
        "crops": tf.TensorSpec(crops, tf.uint8, "image"),
        "float": tf.TensorSpec(crops, tf.float32, "image"),
    }
    configs = [
        orbax_export.ServingConfig(
            name,
            input_signature=[spec],
            tf_preprocessor=_make_decoder(size) if spec.dtype == tf.string else None,
            tf_postprocessor=_make_outputs(card),
        )
        for name, spec in inputs.items()
    ]
    orbax_export.ExportManager(module, configs).save(str(path))


def _make_decoder(size: int) -> Callable[[Any], Any]:
    """A function of TensorFlow from JPEG or PNG bytes [B] to crops uint8 [B, size, size, 3]."""
    import tensorflow as tf

    def decode_one(data: tf.Tensor) -> tf.Tensor:
        # Also decodes PNG. As OpenCV decodes; TensorFlow's default transform is a coarser one.
        crop = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(crop, (size, size, 3))

    return lambda image_bytes: tf.map_fn(decode_one, image_bytes, fn_output_signature=tf.uint8)


def _make_outputs(card: ModelCard) -> Callable[[Any], dict[str, Any]]:
    """A function of TensorFlow from logits [B] to the outputs of a signature."""
    import tensorflow as tf

    low, high = card.decision("frame").bounds()

    def outputs(logit: tf.Tensor) -> dict[str, tf.Tensor]:
        # In float64, as `Scorer.scores`: a score at a threshold falls on the same side.
        score = tf.sigmoid(tf.cast(logit, tf.float64) / card.temperature)
        index = tf.where(score >= high, 1, tf.where(score < low, 0, 2))
        label = tf.gather([*model_card.LABELS, "inconclusive"], index)
        return {"score": tf.cast(score, tf.float32), "logit": logit, "label": label}

    return outputs


def _write_stablehlo(
    path: pathlib.Path, function: Predict, variables: dict[str, Any], card: ModelCard
) -> None:
    size = card.crop_spec.size
    shape = jax.export.symbolic_shape(f"b, {size}, {size}, 3")
    bound = jax.jit(functools.partial(function, variables))
    exported = jax.export.export(bound, platforms=_PLATFORMS)(jax.ShapeDtypeStruct(shape, np.uint8))
    path.write_bytes(exported.serialize())


def _write_onnx(
    path: pathlib.Path, predict: Predict, variables: dict[str, Any], card: ModelCard
) -> None:
    import onnx

    for name in ("jax2onnx", "onnx_ir"):  # tell of plugins and types that nobody needs
        logging.getLogger(name).setLevel(logging.ERROR)
    quietly = contextlib.redirect_stdout(io.StringIO())  # and prints what each convolution is
    with quietly, jax.numpy_rank_promotion("allow"):
        import jax2onnx

        size = card.crop_spec.size
        model = jax2onnx.to_onnx(
            functools.partial(predict, variables),
            [jax.ShapeDtypeStruct(("b", size, size, 3), np.uint8)],
            model_name=card.model_name,
            input_names=["image"],
            output_names=["logit"],
        )
    # They are of the layout before its optimisation, and every runtime infers them itself.
    del model.graph.value_info[:]
    onnx.save(model, path)


def compare(
    folder: pathlib.Path,
    card: ModelCard,
    model: nn.Module,
    variables: dict[str, Any],
    crops: np.ndarray,
) -> dict[str, dict[str, dict[str, float]]]:
    """Deviations of every artefact in `folder`, by each of its runtimes, from an unfolded model.

    `crops` are uint8 [N, S, S, 3] with N the largest of `BATCH_SIZES`.
    """
    bound = {"model": model, "image_size": card.image_size}
    predict = jax.jit(functools.partial(steps.predict, **bound))
    logits = functools.partial(predict, variables)
    expected = np.asarray(logits(crops))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, runtime in runtimes.RUNTIMES.items():
        path = folder / runtime.artefact
        if path.exists():
            deviation = _logit_deviation(runtime.open(path), crops, expected, card)
            found.setdefault(runtime.artefact, {})[name] = deviation
    if (folder / "saved_model").exists():
        found["saved_model"] |= _compare_inputs(folder / "saved_model", logits, crops, card)
    if (folder / runtimes.HEAT_MAPS).exists():
        heat = jax.jit(functools.partial(explain.heat_map, **bound))(variables, crops)
        opened = runtimes.open_stablehlo(folder / runtimes.HEAT_MAPS)
        deviation = _deviation(opened, crops, np.asarray(heat))
        found[runtimes.HEAT_MAPS] = {"stablehlo": {"heat_map": deviation}}

    return found


def _compare_inputs(
    path: pathlib.Path, logits: runtimes.Function, crops: np.ndarray, card: ModelCard
) -> dict[str, dict[str, float]]:
    """Deviations of the SavedModel's other signatures; encoded crops, as OpenCV decodes them."""
    by_floats = runtimes.open_savedmodel(path, "float")
    floats = crops.astype(np.float32) / 255
    expected = np.asarray(logits(crops))
    found = {"savedmodel, float": _logit_deviation(by_floats, floats, expected, card)}
    by_bytes = runtimes.open_savedmodel(path, "serving_default")
    for encoding in ("jpeg", "png"):
        encoded = [media_image.encode_image(crop, encoding) for crop in crops]
        decoded = np.stack([media_image.decode_image(data) for data in encoded])
        expected = np.asarray(logits(decoded))
        data = np.array(encoded, object)
        found[f"savedmodel, {encoding}"] = _logit_deviation(by_bytes, data, expected, card)
    return found


def _logit_deviation(
    logits: runtimes.Function, inputs: np.ndarray, expected: np.ndarray, card: ModelCard
) -> dict[str, float]:
    return {
        "score": _deviation(lambda batch: card.score(logits(batch)), inputs, card.score(expected)),
        "logit": _deviation(logits, inputs, expected),
    }


def _deviation(function: runtimes.Function, inputs: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference at any of `BATCH_SIZES`; NaN where either side has one."""
    differences = [np.abs(function(inputs[:n]) - expected[:n]).max() for n in BATCH_SIZES]
    return float(np.max(differences))


def _require_equal(deviations: dict[str, dict[str, dict[str, float]]]) -> None:
    limits = {"score": TOLERANCE, "heat_map": HEAT_TOLERANCE}
    for artefact, by_runtime in deviations.items():
        for runtime, found in by_runtime.items():
            for quantity, limit in limits.items():
                # Not "greater": NaN has to fail.
                if not found.get(quantity, 0.0) <= limit:
                    raise UserError(
                        f"{artefact} by {runtime} deviates from the Flax model by "
                        f"{found[quantity]:.2g} in {quantity} (allowed: {limit:g}): nothing was "
                        "written; leave its format out, or update its packages"
                    )


def _require_packages(formats: Sequence[str]) -> None:
    if not formats or set(formats) - set(FORMATS):
        raise UserError(f"formats {list(formats)}: choose from {', '.join(FORMATS)}")
    needed = [package for name in formats for package in _PACKAGES[name]]
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f'{", ".join(missing)} is not installed: pip install "dfjax[export]"')


def _require_free(out: pathlib.Path) -> None:
    if not out.exists():
        return
    held = {each.name for each in out.iterdir()} if out.is_dir() else {out.name}
    if held and (runtimes.REPORT not in held or held - _FILES):
        raise UserError(f"{out} holds something else than an export: give a new folder")


def _validation_crops(run: Run) -> np.ndarray:
    """Crops uint8 [N, S, S, 3], spread over the validation split of a run; N of the largest batch.

    A split of fewer crops gives some of them twice.
    """
    records = run.dataset.records(run.config.data.val_split)
    chosen = np.linspace(0, len(records) - 1, max(BATCH_SIZES), dtype=int)
    return np.stack([media_image.decode_image(records[int(row)]["image"]) for row in chosen])
