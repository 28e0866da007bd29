"""Networks of torchvision and timm with random weights, to compare ours with.

Import this before torchvision and timm.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
# The first makes the others importable.
for _package in ("benchmarks.pytorch", "torchvision"):
    pytest.importorskip(_package)
timm = pytest.importorskip("timm")


def random_torch(network, seed: int = 0):
    """The network in evaluation mode, with weights and statistics that all do something."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for name, tensor in network.state_dict(keep_vars=True).items():
            kind = name.rpartition(".")[2]
            if kind == "num_batches_tracked":
                continue
            if kind == "running_var":
                uniform(tensor, 0.5, 1.5)
            elif tensor.ndim >= 2 and min(tensor.shape[:2]) > 1:
                bound = (3 / tensor[0].numel()) ** 0.5  # keeps the variance of its input
                uniform(tensor, -bound, bound)
            elif kind in ("weight", "gamma", "layer_scale") and tensor.ndim < 4:
                uniform(tensor, 0.5, 1.2)
            else:
                uniform(tensor, -0.3, 0.3)
    return network.eval()


def tensors_of(network) -> dict[str, np.ndarray]:
    """What a weight file of the network holds."""
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}
