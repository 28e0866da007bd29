"""A network as an ONNX file, for ONNX Runtime, OpenVINO and TensorRT."""

import contextlib
import io
import logging
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dfjax.model_card import ModelCard


def write(
    path: pathlib.Path,
    predict: Callable[[dict[str, Any], jax.Array], dict[str, jax.Array]],
    variables: dict[str, Any],
    card: ModelCard,
) -> None:
    """Writes a file from `image` uint8 [B, S, S, 3], for any B from 1, to float32 [B] by name.

    The names are those of `predict` (`familiarity.gate.predict`).
    """
    import onnx

    for name in ("jax2onnx", "onnx_ir"):  # they warn of plugins and types that no model here has
        logging.getLogger(name).setLevel(logging.ERROR)
    quietly = contextlib.redirect_stdout(io.StringIO())  # a line for each convolution
    with quietly, jax.numpy_rank_promotion("allow"):
        import jax2onnx

        size = card.crop_spec.size
        names = list(card.outputs)

        def outputs(image: jax.Array) -> tuple[jax.Array, ...]:
            found = predict(variables, image)
            return tuple(found[name] for name in names)

        model = jax2onnx.to_onnx(
            outputs,
            [jax.ShapeDtypeStruct(("b", size, size, 3), np.uint8)],
            model_name=card.model_name,
            input_names=["image"],
            output_names=names,
        )
    # These shapes date from before jax2onnx moved axes; every runtime infers them itself.
    del model.graph.value_info[:]
    onnx.save(model, path)
