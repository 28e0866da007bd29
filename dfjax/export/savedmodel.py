"""A network as a SavedModel that TensorFlow serves without dfjax: crops in, score and label out.

TensorFlow is imported where it is used.
"""

import bisect
import functools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from dfjax import model_card
from dfjax.export import stablehlo
from dfjax.model_card import ModelCard

if TYPE_CHECKING:
    import tensorflow as tf

# TensorFlow Serving takes a folder of integer versions and serves the highest.
VERSION = "1"


def write(
    path: pathlib.Path,
    predict: Callable[[dict[str, Any], jax.Array], dict[str, jax.Array]],
    variables: dict[str, Any],
    card: ModelCard,
) -> None:
    """Writes version `VERSION` of a SavedModel into the folder `path`; docs/export.md specifies it.

    `predict(variables, crops)` returns `ModelCard.outputs`, float32 [B] by name, of crops uint8, or
    float32 in 0..1, [B, S, S, 3].
    """
    import tensorflow as tf
    from orbax import export as orbax_export

    size = card.crop_spec.size
    module = orbax_export.JaxModule(
        variables,
        predict,
        input_polymorphic_shape="b, ...",
        jax2tf_kwargs={"native_serialization_platforms": stablehlo.PLATFORMS},
    )
    crops = (None, size, size, 3)
    inputs = {
        "serving_default": tf.TensorSpec((None,), tf.string, "image_bytes"),
        "crops": tf.TensorSpec(crops, tf.uint8, "image"),
        "float": tf.TensorSpec(crops, tf.float32, "image"),
    }
    decode = functools.partial(decode_crops, size=size)
    signatures = [
        orbax_export.ServingConfig(
            name,
            input_signature=[spec],
            tf_preprocessor=decode if spec.dtype == tf.string else None,
            tf_postprocessor=_make_outputs(card),
        )
        for name, spec in inputs.items()
    ]
    orbax_export.ExportManager(module, signatures).save(str(path / VERSION))


def decode_crops(image_bytes: "tf.Tensor", *, size: int) -> "tf.Tensor":
    """Returns crops uint8 [B, size, size, 3] of JPEG or PNG files, string [B], as OpenCV's.

    Raises:
      tf.errors.InvalidArgumentError: a file is damaged or of another size.
    """
    import tensorflow as tf

    def decode(data: tf.Tensor) -> tf.Tensor:
        # Also decodes PNG. OpenCV uses the accurate transform, TensorFlow by default a coarser one.
        crop = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(crop, (size, size, 3))

    return tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8)


def _make_outputs(
    card: ModelCard,
) -> Callable[[dict[str, "tf.Tensor"]], dict[str, "tf.Tensor"]]:
    """A function of TensorFlow from what `predict` returns to the outputs of a signature."""
    import tensorflow as tf

    low, high = (_smallest_logit(card, bound) for bound in card.decision("frame").bounds())

    def outputs(found: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logit = found["logit"]
        score = tf.sigmoid(tf.cast(logit, tf.float64) / card.temperature)
        index = tf.where(logit >= high, 1, tf.where(logit < low, 0, 2))
        if card.quality.max_strangeness is not None:
            strangeness = tf.cast(found["strangeness"], tf.float64)
            index = tf.where(strangeness <= card.quality.max_strangeness, index, 2)
        label = tf.gather(list(model_card.VERDICTS), index)
        return {**found, "score": tf.cast(score, tf.float32), "label": label}

    return outputs


def _smallest_logit(card: ModelCard, score: float) -> np.float32:
    """The smallest float32 whose score by `card` is at least `score`.

    TensorFlow's sigmoid and numpy's often differ in the last bit, so that scores compared in
    TensorFlow would fall on the other side of a bound that is one of them. Logits do not.
    """
    infinity = int(np.float32(np.inf).view(np.uint32))
    # All float32 in order: bit patterns count positive ones upwards from 0.
    numbers = range(-infinity, infinity + 1)

    def logit(number: int) -> np.float32:
        return np.copysign(np.uint32(abs(number)).view(np.float32), np.float32(number))

    first = bisect.bisect_left(numbers, score, key=lambda number: card.score(logit(number)))
    return logit(numbers[min(first, len(numbers) - 1)])
