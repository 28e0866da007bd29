"""The runtimes that an exported model can be scored with, each behind one function.

Each takes the artefact and returns a function from crops uint8 [N, S, S, 3], N >= 1, to logits
float32 [N] that several threads may call. All compute in float32, on request, because that is what
the export was compared in. The libraries are imported inside functions: a machine that runs one of
them need not install the others.
"""

import dataclasses
import importlib.util
import pathlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Function = Callable[["np.ndarray"], "np.ndarray"]


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
    open: Callable[[pathlib.Path], Function]
    runs_programs: bool = False

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


def open_onnx(path: pathlib.Path) -> Function:
    """Opens an ONNX file with ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda crops: session.run(["logit"], {"image": crops})[0]


def open_openvino(path: pathlib.Path) -> Function:
    """Opens an ONNX file with OpenVINO on the CPU."""
    import openvino

    # Left to itself, OpenVINO computes in bfloat16 on processors that have it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    thread = threading.local()  # a request refuses a second thread

    def logits(crops: "np.ndarray") -> "np.ndarray":
        if not hasattr(thread, "request"):
            thread.request = compiled.create_infer_request()
        return thread.request.infer([crops], share_inputs=True)["logit"]

    return logits


def open_stablehlo(path: pathlib.Path) -> Function:
    """Opens what `jax.export` serialized; runs on the devices that JAX has."""
    import jax
    import numpy as np

    call = jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call)
    return lambda crops: np.asarray(call(crops))


def open_savedmodel(path: pathlib.Path, signature: str = "crops") -> Function:
    """Opens the newest version below `path` with TensorFlow; inputs are those of `signature`."""
    import tensorflow

    versions = [folder for folder in path.iterdir() if folder.name.isdecimal()]
    newest = max(versions, key=lambda folder: int(folder.name))
    model = tensorflow.saved_model.load(str(newest))
    (name,) = model.signatures[signature].structured_input_signature[1]

    def logits(inputs: "np.ndarray") -> "np.ndarray":
        # Through `model` each time: a signature alone does not keep its variables alive.
        return model.signatures[signature](**{name: tensorflow.constant(inputs)})["logit"].numpy()

    return logits


def open_weights(path: pathlib.Path) -> Function:
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
HEAT_MAPS = "explain.stablehlo"  # opened by `open_stablehlo`, next to any of them
