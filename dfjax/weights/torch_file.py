"""Reads a file of PyTorch, which is a pickle: a program.

PyTorch's restricted unpickler does not run it, but has had holes: call this in a sandbox only.
"""

import os
from typing import Any

import numpy as np

from dfjax.errors import UserError

# Earlier ones let a file corrupt memory despite weights_only (CVE-2025-32434, CVE-2026-24747).
_LEAST_TORCH = (2, 10)
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the tensors of a file by name, floating-point ones in single precision.

    Raises:
      UserError: PyTorch is missing or too old, or the file holds something else than weights.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{error}: pip install torch, or give the weights as safetensors"
        ) from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < _LEAST_TORCH:
        raise UserError(
            f"PyTorch {torch.__version__} opens pickles unsafely: install 2.10 or later"
        )
    torch.set_num_threads(1)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise UserError("it holds code, not only weights: save model.state_dict()") from error
        raise
    tensors = _tensors_of(loaded, torch.Tensor)
    if not tensors:
        raise UserError("it holds no tensors by name: save model.state_dict()")
    if sum(tensor.numel() for tensor in tensors.values()) > os.path.getsize(path):
        raise UserError("it claims more values than the file has bytes: get it again")
    return {name: _plain(tensor) for name, tensor in tensors.items()}


def _tensors_of(loaded: Any, tensor: type) -> dict[str, Any]:
    """The tensors by name, without the epoch, the optimizer and others in a checkpoint."""
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict):
        return {}
    return {k: v for k, v in loaded.items() if isinstance(k, str) and isinstance(v, tensor)}


def _plain(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
