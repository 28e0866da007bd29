"""Turns a pickle of PyTorch into safetensors: a script, run with SOURCE and DESTINATION.

A pickle is a program. PyTorch's restricted unpickler does not run it, but has had holes, so the
file is opened in a separate process with limits on memory, processor time and files. The script
must not import dfjax: it starts quickly, and code in a pickle would find little.
"""

import os
import resource
import sys
from typing import Any

_MEMORY = 4 * 2**30  # bytes, in addition to four times the file
_CPU_SECONDS = 240
# Earlier ones let a file corrupt memory despite weights_only (CVE-2025-32434, CVE-2026-24747).
_LEAST_TORCH = (2, 10)
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def main(source: str, destination: str) -> str | None:
    """Converts a file; returns None, or what went wrong, in one line."""
    try:
        import torch
        from safetensors import torch as safetensors
    except ImportError as error:
        return f"{error}: pip install torch safetensors, or give the weights as safetensors"
    if tuple(map(int, torch.__version__.split(".")[:2])) < _LEAST_TORCH:
        return f"PyTorch {torch.__version__} opens pickles unsafely: install 2.10 or later"
    torch.set_num_threads(1)
    size = os.path.getsize(source)
    _limit(size)
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            return "it holds code, not only weights: save model.state_dict()"
        return " ".join(str(error).split())[:200] or type(error).__name__
    tensors = _tensors_of(loaded, torch.Tensor)
    if not tensors:
        return "it holds no tensors by name: save model.state_dict()"
    if sum(tensor.numel() for tensor in tensors.values()) > size:
        return "it claims more values than the file has bytes"
    safetensors.save_file({name: _plain(t) for name, t in tensors.items()}, destination)
    return None


def _limit(size: int) -> None:
    for limit, value in (
        (resource.RLIMIT_DATA, _MEMORY + 4 * size),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 2**20 + 4 * size),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _tensors_of(loaded: Any, tensor: type) -> dict[str, Any]:
    """The tensors by name, without the epoch, the optimizer and others in a checkpoint."""
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict):
        return {}
    return {k: v for k, v in loaded.items() if isinstance(k, str) and isinstance(v, tensor)}


def _plain(tensor: Any) -> Any:
    """A tensor that shares no memory; floating-point numbers in single precision."""
    tensor = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).clone().contiguous()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
