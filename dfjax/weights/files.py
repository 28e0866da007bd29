"""Files of weights, ours and those of other libraries, to and from tensors by name.

The first bytes of a file decide its format, not its name; `weights.formats` reads the rest. A
pickle is opened on request only.

Ours are safetensors with names like "params/stage1_block1/conv1/kernel" and "batch_stats/...".
"""

import dataclasses
import hashlib
import io
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from dfjax import console, files
from dfjax.errors import UserError
from dfjax.models import key_names
from dfjax.weights import dlib_file, formats, normalization

FORMATS = tuple(formats.READERS)

_MAX_BYTES = 16 * 2**30  # of a file: 4 billion parameters


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """What a file of weights holds.

    Attributes:
      tensors: by name; floating-point ones in float32, in the layout of the file.
      metadata: texts by name, from the file.
      normalization: "mean" and "std" of the training images, in the 0..1 range of RGB; {} if
        neither the file nor a config next to it states them.
      format: one of `FORMATS`.
      sha256: of the file.
    """

    tensors: formats.Tensors
    metadata: dict[str, str]
    normalization: key_names.Normalization
    format: str
    sha256: str


def split_spec(spec: str) -> tuple[str | None, pathlib.Path]:
    """(format, path) of "pth:weights/x.pth"; the format is None if the spec has none."""
    prefix, colon, path = spec.partition(":")
    if colon and prefix in FORMATS:
        return prefix, pathlib.Path(path)
    return None, pathlib.Path(spec)


def read(spec: str | os.PathLike, format: str | None = None) -> WeightFile:
    """Returns the tensors of a file: a path, or a format and a path ("pth:weights/x.pth").

    The format is recognized from the content; only "pth", PyTorch's pickle, has to be named.

    Raises:
      UserError: the file does not exist, is damaged, or has another format; the message says what
        to do.
    """
    prefix, path = split_spec(os.fspath(spec))
    data = _read_bytes(path)
    format = _require_format(format or prefix, _recognize(data, path), path)
    try:
        content = formats.READERS[format](data, path)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # libraries raise all kinds of them for damaged files
        reason = console.one_line(error)[:300] or type(error).__name__
        raise UserError(
            f"{path} is not a sound file of format {format} ({reason}): get it again"
        ) from error
    if not content.tensors:
        raise UserError(f"{path} holds no tensors: give a file of weights")
    return WeightFile(
        tensors={name: _as_float32(value) for name, value in content.tensors.items()},
        metadata=content.metadata,
        normalization=content.normalization or normalization.next_to(path),
        format=format,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def write(path: str | os.PathLike, tensors: Mapping[str, Any], metadata: dict[str, str]) -> None:
    """Writes safetensors, whole or not at all."""
    # Copies in C order: safetensors 0.8 writes the bytes of any other order under the same shape.
    values = {name: np.array(value, order="C") for name, value in tensors.items()}
    with files.replacing(path) as unfinished:
        unfinished.write_bytes(safetensors.numpy.save(values, metadata))


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


def _require_format(named: str | None, actual: str, path: pathlib.Path) -> str:
    """The actual format, if it may be read and is the one that was named."""
    if named and named not in FORMATS:
        raise UserError(f"unknown format {named!r}: choose one of {', '.join(FORMATS)}")
    if actual == "pth" and named != "pth":
        raise UserError(
            f"{path} is a pickle, which may run any code when it is opened: give the weights as "
            f"safetensors, or, if they are PyTorch's and you trust them, ask for pth:{path}"
        )
    if named and named != actual:
        raise UserError(f"{path} has the format {actual}, not {named}: name {actual}, or none")
    return actual


def _recognize(data: bytes, path: pathlib.Path) -> str:
    """The format of a file, by its first bytes."""
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if dlib_file.is_dlib_network(data):
        return "dlib"
    if data.startswith(b"PK"):
        return _recognize_zip(data, path)
    if data[8:9] == b"{":
        return "safetensors"
    if data[:1] == b"\x80" and data[1:2] <= b"\x05":
        return "pth"
    if data.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a pointer of Git LFS, not the file: run git lfs pull")
    raise UserError(
        f"{path} has none of the formats that dfjax reads ({', '.join(FORMATS)}): convert it to "
        "safetensors"
    )


def _recognize_zip(data: bytes, path: pathlib.Path) -> str:
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


def _as_float32(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value
