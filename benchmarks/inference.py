"""Speed of inference by named networks on the CPU; peer: PyTorch, on timm's networks."""

import functools
import pathlib
import tempfile
import time

from benchmarks import speed, turns
from benchmarks.networks import Network
from dfjax import allocator


def make_dfjax(network: Network, *, plain: bool = False, dtype: str = "float32") -> turns.Program:
    """Scores a batch of uint8 images as `dfjax evaluate` does."""
    if not plain:
        allocator.keep_freed_memory()
    import jax
    import optax

    from benchmarks import untrained
    from dfjax import models, steps

    model = models.build(network.name, dtype=dtype)
    model = model if plain else models.for_backend(model)
    variables = untrained.make_state(model, network.side, optax.identity()).eval_variables
    crops = untrained.make_crops(network.batch, network.side)
    predict = functools.partial(steps.predict, model=model, image_size=network.side)
    began = time.perf_counter()
    compiled = jax.jit(predict).lower(variables, crops).compile()
    seconds = time.perf_counter() - began
    return turns.Program(lambda: jax.device_get(compiled(variables, crops)), seconds, compiled)


def make_onnx(network: Network) -> turns.Program:
    """The export, by ONNX Runtime; the memory of its process is that of exporting."""
    from benchmarks import untrained

    with tempfile.TemporaryDirectory() as folder:
        untrained.write_export(folder, network.name, network.side, ["onnx"])
        return make_exported(network, runtime="onnx", folder=folder)


def make_exported(network: Network, *, runtime: str, folder: str) -> turns.Program:
    """Logits of uint8 images by a runtime of the export in `folder`."""
    from benchmarks import untrained
    from dfjax.inference import runtimes

    chosen = runtimes.RUNTIMES[runtime]
    function = chosen.open(pathlib.Path(folder, chosen.artefact))
    crops = untrained.make_crops(network.batch, network.side)
    return turns.Program(lambda: function(crops))


def make_torch(
    network: Network, *, compiled: bool = False, dtype: str = "float32"
) -> turns.Program:
    """Logits by PyTorch, from normalized images."""
    import torch

    from benchmarks import pytorch

    model, images = pytorch.make_network(network, compiled=compiled), pytorch.make_images(network)
    model.eval()

    def step() -> None:
        with torch.inference_mode(), pytorch.autocast(dtype):
            model(images)

    return turns.compiling(step) if compiled else turns.Program(step)


PROGRAMS = {
    "plain": functools.partial(make_dfjax, plain=True),
    "dfjax": make_dfjax,
    "ONNX Runtime": make_onnx,
    "PyTorch": make_torch,
    "PyTorch compiled": functools.partial(make_torch, compiled=True),
    "dfjax bf16": functools.partial(make_dfjax, dtype="bfloat16"),
    "PyTorch bf16": functools.partial(make_torch, dtype="bfloat16"),
}

if __name__ == "__main__":
    speed.main(__doc__, PROGRAMS, default=("plain", "dfjax", "ONNX Runtime", "PyTorch"))
