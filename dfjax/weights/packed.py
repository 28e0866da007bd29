"""Large kernels in sixteen bits a weight: integers, and a scale for every output channel.

Half of the bytes, and several times as exact as float16, which spends bits on tiny weights that do
not matter next to the large ones. All other tensors stay as they are.
"""

from collections.abc import Mapping

import numpy as np

_SCALE = ":scale"  # after the name of a packed kernel; float32 [outputs]
_LARGEST = 32_767


def pack(tensors: Mapping[str, np.ndarray], *, at_least: int) -> dict[str, np.ndarray]:
    """Returns the tensors, of which kernels [..., outputs] of `at_least` weights are packed."""
    packed = {}
    for name, value in tensors.items():
        if not name.endswith("/kernel") or value.size < at_least:
            packed[name] = value
            continue
        largest = np.abs(value).max(axis=tuple(range(value.ndim - 1)))
        scale = np.float32(np.where(largest > 0, largest, 1) / _LARGEST)
        packed[name] = np.rint(value / scale).astype(np.int16)
        packed[name + _SCALE] = scale
    return packed


def unpack(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors with packed kernels in float32.

    Raises:
      ValueError: a scale is not of a kernel, or not of its channels.
    """
    unpacked = {name: value for name, value in tensors.items() if not name.endswith(_SCALE)}
    for name in tensors.keys() - unpacked.keys():
        kernel, scale = unpacked.get(name.removesuffix(_SCALE)), tensors[name]
        if kernel is None or kernel.dtype != np.int16 or scale.shape != kernel.shape[-1:]:
            raise ValueError(f"{name} is not the scale of a packed kernel")
        unpacked[name.removesuffix(_SCALE)] = kernel * np.float32(scale)
    return unpacked
