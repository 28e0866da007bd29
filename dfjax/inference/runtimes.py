"""The runtimes that an exported model can be scored with, each behind one function.

Each takes the artefact and returns a function from crops uint8 [N, S, S, 3], N >= 1, to float32 [N]
by name (`network.OUTPUTS`) that several threads may call. All compute in float32, on request,
because that is what the export was compared in. The libraries are imported inside functions: a
machine that runs one of them need not install the others.
"""

import dataclasses
import importlib.util
import pathlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dfjax.inference.network import OUTPUTS, Function, Network

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A way to run an export.

    Attributes:
      artefact: the file or folder of an export that it reads.
      package: what must be installed.
      open: opens the artefact.
      runs_programs: an artefact can do more than compute, such as write files.
    """

    artefact: str
    package: str
    open: Callable[[pathlib.Path], Network]
    runs_programs: bool = False

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def open_onnx(path: pathlib.Path) -> Network:
    """Opens an ONNX file with ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda crops: dict(zip(names, session.run(names, {"image": crops}), strict=True))


def open_openvino(path: pathlib.Path) -> Network:
    """Opens an ONNX file with OpenVINO on the CPU."""
    import openvino

    # Left to itself, OpenVINO computes in bfloat16 on processors that have it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    thread = threading.local()  # a request refuses a second thread

    names = [output.any_name for output in compiled.outputs]

    def outputs(crops: "np.ndarray") -> dict[str, "np.ndarray"]:
        if not hasattr(thread, "request"):
            thread.request = compiled.create_infer_request()
        found = thread.request.infer([crops], share_inputs=True)
        return {name: found[name] for name in names}

    return outputs


def open_stablehlo(path: pathlib.Path) -> Network:
    """Opens what `jax.export` serialized; runs on the devices that JAX has."""
    outputs = _call_stablehlo(path)

    def named(crops: "np.ndarray") -> dict[str, "np.ndarray"]:
        found = outputs(crops)
        return found if isinstance(found, dict) else {"logit": found}  # of earlier exports

    return named


def open_heat_maps(path: pathlib.Path) -> Function:
    """Opens an export's heat maps, float32 [N, h, w] in 0..1, as `open_stablehlo` does."""
    return _call_stablehlo(path)


def _call_stablehlo(path: pathlib.Path) -> Callable[["np.ndarray"], Any]:
    import jax
    import numpy as np

    call = jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call)
    return lambda crops: jax.tree.map(np.asarray, call(crops))


def open_savedmodel(path: pathlib.Path, signature: str = "crops") -> Network:
    """Opens the newest version below `path` with TensorFlow; inputs are those of `signature`."""
    import tensorflow

    versions = [folder for folder in path.iterdir() if folder.name.isdecimal()]
    newest = max(versions, key=lambda folder: int(folder.name))
    model = tensorflow.saved_model.load(str(newest))
    (name,) = model.signatures[signature].structured_input_signature[1]

    def outputs(inputs: "np.ndarray") -> dict[str, "np.ndarray"]:
        # Through `model` each time: a signature alone does not keep its variables alive.
        found = model.signatures[signature](**{name: tensorflow.constant(inputs)})
        return {key: found[key].numpy() for key in OUTPUTS if key in found}

    return outputs


def open_weights(path: pathlib.Path) -> Network:
    """Opens a file of weights with Flax, by the card next to it."""
    from dfjax.inference import flax_runtime

    return flax_runtime.open_weights(path)[0]


WEIGHTS = "model.safetensors"
# On a CPU from fast to slow (`python -m benchmarks.runtimes`).
RUNTIMES = {
    "onnx": Runtime("model.onnx", "onnxruntime", open_onnx),
    "openvino": Runtime("model.onnx", "openvino", open_openvino),
    "savedmodel": Runtime("saved_model", "tensorflow", open_savedmodel, runs_programs=True),
    "stablehlo": Runtime("score.stablehlo", "jax", open_stablehlo, runs_programs=True),
    "flax": Runtime(WEIGHTS, "flax", open_weights),
}
HEAT_MAPS = "explain.stablehlo"  # opened by `open_heat_maps`, next to any of them
