"""Files of weights, ours and other people's, to and from tensors by name.

A file is taken for what its first bytes say, and nothing in it is ever executed: a pickle, which
is a program, is opened on request alone and in a process of its own (`weights.pickle_process`).
What a file claims to hold is compared with its size before memory is reserved for it.

Ours are safetensors with names like "params/stage1_block1/conv1/kernel" and "batch_stats/...".
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np
import safetensors
import safetensors.numpy

from dfjax.errors import UserError
from dfjax.weights import dlib_file

Tensors = dict[str, np.ndarray]
Triples = dict[str, tuple[float, float, float]]

_MAX_BYTES = 16 * 2**30  # of a file: 4 billion parameters
_MAX_EXPANSION = 20  # bytes of tensors for one of a compressed file; noise has about 1
_MAX_CONFIG = 2**20  # bytes of JSON
_PICKLE_SECONDS = 300.0
_PICKLE_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")

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
_BFLOAT16_OF_NUMPY = np.dtype("V2")  # which does not know it, and stores two bytes of anything
# Layers that Keras names by itself: the numbers depend on what else was built before.
_KERAS_LAYERS = "conv2d|depthwise_conv2d|separable_conv2d|batch_normalization|dense"


class _RefusedError(Exception):
    """A file that is sound and yet of no use; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """What a file of weights holds.

    Attributes:
      tensors: by name; floating-point ones in float32, in the layout of the file.
      metadata: what the file says of itself.
      normalisation: "mean" and "std" of the training images, in the 0..1 range of RGB, where the
        file or one beside it names them.
      format: one of `FORMATS`.
      sha256: of the file.
    """

    tensors: Tensors
    metadata: dict[str, str]
    normalisation: Triples
    format: str
    sha256: str


def split_spec(spec: str) -> tuple[str | None, pathlib.Path]:
    """(format, path) of "pth:weights/x.pth"; the format is None where the spec names none."""
    prefix, colon, path = spec.partition(":")
    if colon and prefix in FORMATS:
        return prefix, pathlib.Path(path)
    return None, pathlib.Path(spec)


def read(spec: str | os.PathLike, format: str | None = None) -> WeightFile:
    """The tensors of a file: a path, perhaps with a format before it ("pth:weights/x.pth").

    The format is found by content; "pth", PyTorch's pickle, has to be named.

    Raises:
      UserError: there is no such file, it is damaged, or of another format; the message says what
        to do.
    """
    named, path = split_spec(os.fspath(spec))
    format = format or named
    if format and format not in FORMATS:
        raise UserError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    data = _read_bytes(path)
    found = _find_format(data, path)
    if found == "pth" and format != "pth":
        raise UserError(
            f"{path} is a pickle, which may run any code when it is opened: give the weights as "
            f"safetensors, or, if they are PyTorch's and you trust them, ask for pth:{path}"
        )
    if format and format != found:
        raise UserError(f"{path} is no file of format {format}, but of {found}: name that one")
    try:
        tensors, metadata, normalisation = _READERS[found](data, path)
    except _RefusedError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # libraries raise whatever a damaged file leads them to
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"{path} is no sound file of format {found} ({reason}): get it again"
        ) from error
    if not tensors:
        raise UserError(f"{path} holds no tensors: give a file of weights")
    return WeightFile(
        tensors={name: _as_float32(value) for name, value in tensors.items()},
        metadata=metadata,
        normalisation=normalisation or _normalisation_beside(path),
        format=found,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def write(path: str | os.PathLike, tensors: Mapping[str, Any], metadata: dict[str, str]) -> None:
    """Writes safetensors, whole or not at all."""
    path = pathlib.Path(path)
    # Copies in C order: safetensors 0.8 writes the bytes of any other order under the same shape.
    values = {name: np.array(value, order="C") for name, value in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(safetensors.numpy.save(values, metadata))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_bytes(path: pathlib.Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a file of weights in it")
    if not path.is_file():
        raise UserError(f"{path} does not exist: give a file of weights")
    size = path.stat().st_size
    if size == 0:
        raise UserError(f"{path} is empty: get it again")
    if size > _MAX_BYTES:
        raise UserError(f"{path} has {size} bytes, more than {_MAX_BYTES}: give fewer weights")
    return path.read_bytes()


def _find_format(data: bytes, path: pathlib.Path) -> str:
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if dlib_file.starts_like_one(data):
        return "dlib"
    if data.startswith(b"PK"):
        return _format_of_zip(data, path)
    if data[8:9] == b"{":
        return "safetensors"
    if data[:1] == b"\x80" and data[1:2] <= b"\x05":
        return "pth"
    if data.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a pointer of Git LFS, not the file: run git lfs pull")
    raise UserError(
        f"{path} is no file of weights that dfjax knows ({', '.join(FORMATS)}): convert it to "
        "safetensors"
    )


def _format_of_zip(data: bytes, path: pathlib.Path) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except Exception as error:  # as in `read`
        raise UserError(f"{path} is a damaged or truncated zip ({error}): get it again") from error
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith(".pkl") for name in names):
        return "pth"
    if "model.weights.h5" in names:
        raise UserError(f"{path} is an archive of Keras 3: load it there and save it as .h5")
    raise UserError(f"{path} is a zip without weights: give npz or safetensors")


def _read_safetensors(data: bytes, path: pathlib.Path) -> tuple[Tensors, dict[str, str], Triples]:
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise UserError(f"its header claims {length} bytes, and {len(data) - 8} are there")
    tensors = {}
    # The library makes sure that shapes, types and offsets agree with the bytes.
    for name, view in safetensors.deserialize(data):
        kind = view["dtype"]
        if kind not in _FROM_SAFETENSORS:
            raise UserError(f"{name} is of type {kind}")
        value = np.frombuffer(view["data"], _FROM_SAFETENSORS[kind]).reshape(view["shape"])
        tensors[name] = _from_bfloat16(value) if kind == "BF16" else value
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return tensors, metadata, _triples(_parsed(metadata.get(k)) for k in ("mean", "std"))


def _read_npz(data: bytes, path: pathlib.Path) -> tuple[Tensors, dict[str, str], Triples]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        _check_expansion(sum(member.file_size for member in members), data)
        tensors = {m.filename.removesuffix(".npy"): _parse_npy(archive.read(m)) for m in members}
    return _unwrapped(tensors), {}, {}


def _parse_npy(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise UserError(f"an array of version {version}")
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        raise _RefusedError("it holds a pickle, as an array of Python objects: save plain arrays")
    if dtype.kind not in "fiub" and dtype != _BFLOAT16_OF_NUMPY:
        raise UserError(f"an array of type {dtype}")
    size = len(data) - stream.tell()
    if math.prod(shape) * dtype.itemsize != size:
        raise UserError(f"an array of shape {list(shape)} and type {dtype} in {size} bytes")
    value = np.frombuffer(data, dtype, offset=stream.tell())
    value = value.reshape(shape, order="F" if fortran_order else "C")
    return _from_bfloat16(value.view("<u2")) if dtype == _BFLOAT16_OF_NUMPY else value


def _unwrapped(tensors: Tensors) -> Tensors:
    """Without the optimiser's state, and the names without what sets the weights apart from it."""
    for prefix in ("opt/target/", "params/"):
        chosen = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
        if chosen:
            return chosen
    return tensors


def _read_keras(data: bytes, path: pathlib.Path) -> tuple[Tensors, dict[str, str], Triples]:
    with h5py.File(io.BytesIO(data), "r") as file:
        root = _inside(file, "model_weights") if "model_weights" in file else file
        if "layer_names" not in root.attrs:
            raise _RefusedError(
                "no layer_names, as in Keras 3's .weights.h5: load it there and save the model as "
                ".h5"
            )
        datasets = {}
        for layer in _texts(root.attrs["layer_names"]):
            group = _inside(root, layer)
            for weight in _texts(group.attrs["weight_names"]):
                # "conv2d_1/kernel:0"; inner models and Keras 3 put more names before these.
                *outer, kind = weight.split("/")
                name = f"{outer[-1] if outer else layer}/{kind.partition(':')[0]}"
                if name in datasets:
                    raise UserError(f"two weights are called {name}")
                datasets[name] = _inside(group, weight)
        for name, dataset in datasets.items():
            if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu":
                raise UserError(f"{name} is no array of numbers")
            if dataset.is_virtual or dataset.external:
                raise UserError(f"{name} lies in another file")
        _check_expansion(sum(dataset.nbytes for dataset in datasets.values()), data)
        tensors = {name: dataset[()] for name, dataset in datasets.items()}
    return _renumbered(tensors), {}, {}


def _inside(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
    """What lies at `path` in `group`, and in the same file: links may lead anywhere."""
    for part in path.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise UserError(f"{path} is missing, or a link")
        group = group[part]
    return group


def _texts(names: Iterable[bytes | str]) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _renumbered(tensors: Tensors) -> Tensors:
    """Layers with automatic names counted from 1 in the order in which they were made."""
    automatic = {}
    for layer in {name.partition("/")[0] for name in tensors}:
        if match := re.fullmatch(rf"({_KERAS_LAYERS})(?:_(\d+))?", layer):
            automatic.setdefault(match[1], []).append((int(match[2] or 0), layer))
    new = {
        layer: f"{kind}_{number}"
        for kind, found in automatic.items()
        for number, (_, layer) in enumerate(sorted(found), 1)
    }
    parts = {name: name.partition("/") for name in tensors}
    return {f"{new.get(p[0], p[0])}/{p[2]}": tensors[name] for name, p in parts.items()}


def _read_dlib(data: bytes, path: pathlib.Path) -> tuple[Tensors, dict[str, str], Triples]:
    tensors, normalisation = dlib_file.parse(data)
    return tensors, {}, normalisation


def _read_pth(data: bytes, path: pathlib.Path) -> tuple[Tensors, dict[str, str], Triples]:
    script = pathlib.Path(__file__).with_name("pickle_process.py")
    environment = {name: os.environ[name] for name in _PICKLE_ENVIRONMENT if name in os.environ}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "weights.safetensors")
        try:
            done = subprocess.run(
                # -E and -P: it imports what is installed, and nothing from elsewhere.
                [sys.executable, "-E", "-P", str(script), str(path.absolute()), str(out)],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PICKLE_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(f"it took more than {_PICKLE_SECONDS:.0f} s") from error
        if done.returncode == 1:
            raise _RefusedError(done.stderr.strip().rsplit("\n", 1)[-1])
        if done.returncode != 0:
            raise UserError(f"the process that opened it ended with status {done.returncode}")
        tensors, _, _ = _read_safetensors(out.read_bytes(), out)
    return tensors, {}, {}


# (bytes, path) -> (tensors, metadata, normalisation)
_READERS = {
    "safetensors": _read_safetensors,
    "npz": _read_npz,
    "keras": _read_keras,
    "dlib": _read_dlib,
    "pth": _read_pth,
}
FORMATS = tuple(_READERS)


def _check_expansion(claimed: int, data: bytes) -> None:
    if claimed > _MAX_EXPANSION * len(data):
        raise UserError(f"it claims {claimed} bytes of tensors in {len(data)}")


def _from_bfloat16(value: np.ndarray) -> np.ndarray:
    """Float32 from the upper halves of its bits, uint16."""
    return (value.astype(np.uint32) << 16).view(np.float32)


def _as_float32(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value


def _normalisation_beside(path: pathlib.Path) -> Triples:
    """Mean and standard deviation that timm or Hugging Face put beside the weights."""
    config = _json_object(path.with_name("config.json")).get("pretrained_cfg")
    if isinstance(config, dict) and (found := _triples(config.get(k) for k in ("mean", "std"))):
        return found
    config = _json_object(path.with_name("preprocessor_config.json"))
    return _triples(config.get(name) for name in ("image_mean", "image_std"))


def _json_object(path: pathlib.Path) -> dict[str, Any]:
    """The object in a file of JSON; empty where there is none, for it is somebody else's file."""
    if not path.is_file() or path.stat().st_size > _MAX_CONFIG:
        return {}
    value = _parsed(path.read_text(errors="replace"))
    return value if isinstance(value, dict) else {}


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _triples(values: Iterable[Any]) -> Triples:
    """{"mean", "std"} where both are three finite numbers, else nothing."""
    found = {}
    for name, value in zip(("mean", "std"), values, strict=True):
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 3 or not all(isinstance(n, int | float) for n in numbers):
            return {}
        if not all(map(math.isfinite, numbers)):
            return {}
        found[name] = tuple(map(float, numbers))
    return found
