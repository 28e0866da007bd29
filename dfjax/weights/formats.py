"""The bytes of a weight file, of any known format, become tensors by name.

The libraries that parse them have had holes, so all of this runs in a sandbox (`weights.tasks`).
What a file claims to hold is compared with its size before memory is reserved for it.

A reader takes the path of a file. It raises UserError for a file that is not damaged but cannot be
used, with what to do; any other exception means that the file is damaged.
"""

import io
import json
import math
import pathlib
import re
import zipfile
from collections.abc import Iterable
from typing import NamedTuple

import h5py
import numpy as np
import safetensors

from dfjax.errors import UserError
from dfjax.weights import dlib_file, packed, torch_file

Tensors = dict[str, np.ndarray]


class Content(NamedTuple):
    """What a file holds.

    Attributes:
      tensors: by name, in the types and layouts of the file.
      metadata: texts by name; "mean" and "std" of the training images, if stated, as JSON.
    """

    tensors: Tensors
    metadata: dict[str, str]


MAX_EXPANSION = 20  # bytes of tensors for one of a compressed file; noise has about 1

_FROM_SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_BFLOAT16_IN_NPY = np.dtype("V2")  # NumPy has no such type and stores two bytes of any kind
# The layers that Keras names by itself: their numbers depend on what else was built before.
_KERAS_LAYERS = "conv2d|depthwise_conv2d|separable_conv2d|batch_normalization|dense"


def _read_safetensors(path: pathlib.Path) -> Content:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError(f"its header claims {length} bytes, and {len(data) - 8} are there")
    tensors = {}
    # The library makes sure that shapes, types and offsets agree with the bytes.
    for name, view in safetensors.deserialize(data):
        kind = view["dtype"]
        if kind not in _FROM_SAFETENSORS:
            raise ValueError(f"{name} is of type {kind}")
        value = np.frombuffer(view["data"], _FROM_SAFETENSORS[kind]).reshape(view["shape"])
        tensors[name] = _from_bfloat16(value) if kind == "BF16" else value
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return Content(packed.unpack(tensors), metadata)


def _read_npz(path: pathlib.Path) -> Content:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_expansion(sum(member.file_size for member in members), path)
        tensors = {m.filename.removesuffix(".npy"): _parse_npy(archive.read(m)) for m in members}
    return Content(_without_optimizer(tensors), {})


def _parse_npy(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"an array of version {version}")
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        raise UserError("it holds a pickle, as an array of Python objects: save plain arrays")
    if dtype.kind not in "fiub" and dtype != _BFLOAT16_IN_NPY:
        raise ValueError(f"an array of type {dtype}")
    size = len(data) - stream.tell()
    if math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"an array of shape {list(shape)} and type {dtype} in {size} bytes")
    value = np.frombuffer(data, dtype, offset=stream.tell())
    value = value.reshape(shape, order="F" if fortran_order else "C")
    return _from_bfloat16(value.view("<u2")) if dtype == _BFLOAT16_IN_NPY else value


def _without_optimizer(tensors: Tensors) -> Tensors:
    """Only the weights, without the prefix that sets them apart from the optimizer's state."""
    for prefix in ("opt/target/", "params/"):
        weights = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
        if weights:
            return weights
    return tensors


def _read_keras(path: pathlib.Path) -> Content:
    with h5py.File(io.BytesIO(path.read_bytes()), "r") as file:
        datasets = _keras_datasets(file)
        for name, dataset in datasets.items():
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
                raise ValueError(f"{name} is not an array of numbers")
            if dataset.is_virtual or dataset.external:
                raise ValueError(f"{name} lies in another file")
        _check_expansion(sum(dataset.nbytes for dataset in datasets.values()), path)
        tensors = {name: dataset[()] for name, dataset in datasets.items()}
    return Content(_renumbered(tensors), {})


def _keras_datasets(file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    """The weights of every layer, by names like "conv2d_1/kernel"."""
    root = _inside(file, "model_weights") if "model_weights" in file else file
    if "layer_names" not in root.attrs:
        raise UserError(
            "no layer_names, as in Keras 3's .weights.h5: load it there and save the model as .h5"
        )
    datasets = {}
    for layer in _texts(root.attrs["layer_names"]):
        group = _inside(root, layer)
        for weight in _texts(group.attrs["weight_names"]):
            # "conv2d_1/kernel:0"; inner models and Keras 3 put more names before these.
            *outer, kind = weight.split("/")
            name = f"{outer[-1] if outer else layer}/{kind.partition(':')[0]}"
            if name in datasets:
                raise ValueError(f"two weights are called {name}")
            datasets[name] = _inside(group, weight)
    return datasets


def _inside(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """The member at `path` of `group`, in the same file: links could lead to any other."""
    for part in path.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path} is missing, or a link")
        group = group[part]
    return group


def _texts(names: Iterable[bytes | str]) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _renumbered(tensors: Tensors) -> Tensors:
    """Layers with automatic names are counted from 1, in the order in which they were made."""
    automatic = {}
    for layer in {name.partition("/")[0] for name in tensors}:
        if match := re.fullmatch(rf"({_KERAS_LAYERS})(?:_(\d+))?", layer):
            automatic.setdefault(match[1], []).append((int(match[2] or 0), layer))
    new = {
        layer: f"{kind}_{number}"
        for kind, numbered in automatic.items()
        for number, (_, layer) in enumerate(sorted(numbered), 1)
    }
    parts = {name: name.partition("/") for name in tensors}
    return {f"{new.get(p[0], p[0])}/{p[2]}": tensors[name] for name, p in parts.items()}


def _read_dlib(path: pathlib.Path) -> Content:
    tensors, constants = dlib_file.parse(path.read_bytes())
    return Content(tensors, {name: json.dumps(value) for name, value in constants.items()})


def _read_pth(path: pathlib.Path) -> Content:
    return Content(torch_file.read(path), {})


READERS = {
    "safetensors": _read_safetensors,
    "npz": _read_npz,
    "keras": _read_keras,
    "dlib": _read_dlib,
    "pth": _read_pth,
}


def _check_expansion(claimed: int, path: pathlib.Path) -> None:
    size = path.stat().st_size
    if claimed > MAX_EXPANSION * size:
        raise ValueError(f"it claims {claimed} bytes of tensors in {size}")


def _from_bfloat16(value: np.ndarray) -> np.ndarray:
    """Float32 from the upper halves of its bits, uint16."""
    return (value.astype(np.uint32) << 16).view(np.float32)
