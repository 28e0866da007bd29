"""Files of weights, ours and those of other libraries, to and from tensors by name.

The first bytes of a file decide its format, not its name. A sandbox reads it (`weights.tasks`): the
libraries that parse strangers' files have had holes. A pickle is opened on request only.

Ours are safetensors with names like "params/stage1_block1/conv1/kernel" and "batch_stats/...".
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from dfjax import files
from dfjax.errors import UserError
from dfjax.media.errors import MediaError
from dfjax.models import key_names
from dfjax.sandbox import pool
from dfjax.sandbox.errors import TimeLimitError, WorkerError
from dfjax.weights import formats, normalization, shipped, sources

FORMATS = tuple(formats.READERS)

_MAX_BYTES = 16 * 2**30  # of a file: 4 billion parameters
_SECONDS = 600.0  # for a file
# Bytes of address space: for the libraries, of which PyTorch is the largest, and for each of the
# file. Parsed, copied and turned into single precision, it is there about four times.
_LIBRARIES, _PER_BYTE = 4 * 2**30, 6
_TASKS = "dfjax.weights.tasks"
_RANDOM = "/dev/urandom"  # PyTorch looks into it when it is imported
_REASONS = {  # of errors that the sandbox raises, not the task
    "corrupt": "crashed its reader: get it again",
    "too_large": "needs too much memory to be read: give fewer weights",
}


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


def read(spec: str | os.PathLike, format: str | None = None) -> WeightFile:
    """Returns the tensors of a file: a path, or any other spec of `weights.sources`.

    The format is recognized from the content; only "pth", PyTorch's pickle, has to be named.

    Raises:
      UserError: the file does not exist, is damaged, or has another format; the message says what
        to do.
    """
    prefix, path = sources.locate(os.fspath(spec))
    size = _require_file(path)
    format = format or prefix
    if format and format not in FORMATS:
        raise UserError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    reply, tensors = _read_in_sandbox(path, size, format)
    if not tensors:
        raise UserError(f"{path} holds no tensors: give a file of weights")
    metadata = {str(name): str(text) for name, text in reply["metadata"].items()}
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    stated = normalization.in_metadata(metadata) or normalization.next_to(path)
    return WeightFile(tensors, metadata, stated, str(reply["format"]), sha256)


def write(path: str | os.PathLike, tensors: Mapping[str, Any], metadata: dict[str, str]) -> None:
    """Writes safetensors, whole or not at all; the same bytes for the same content."""
    # Copies in C order: safetensors 0.8 writes the bytes of any other order under the same shape.
    values = {name: np.array(value, order="C") for name, value in tensors.items()}
    with files.replacing(path) as unfinished:
        unfinished.write_bytes(_with_metadata(safetensors.numpy.save(values), metadata))


def _with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """Safetensors with metadata in their order, of which the library writes another every time."""
    length = int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata, **json.loads(data[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _read_in_sandbox(
    path: pathlib.Path, size: int, format: str | None
) -> tuple[dict[str, Any], formats.Tensors]:
    """What `tasks.read` returns for a file of `size` bytes."""
    with contextlib.closing(pool.Sandbox(_TASKS, memory=_LIBRARIES + _PER_BYTE * size)) as sandbox:
        try:
            return sandbox.run(
                "read",
                {"path": str(path.absolute()), "format": format},
                seconds=_SECONDS,
                reads=[str(path), _RANDOM],
                max_bytes=formats.MAX_EXPANSION * size,
            )
        except MediaError as error:
            raise UserError(f"{path} {_REASONS.get(error.code, error)}") from error
        except TimeLimitError as error:
            raise UserError(
                f"{path} took more than {_SECONDS:.0f} s to read: give fewer weights"
            ) from error
        except WorkerError as error:
            raise UserError(
                f"{path} cannot be read: the process that tried died, perhaps for lack of memory: "
                "try again, or give fewer weights"
            ) from error


def _require_file(path: pathlib.Path) -> int:
    """The size of the file at `path`, in bytes."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: give a file of weights in it")
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: give a file of weights, package:NAME, or one of those that "
            f"come with dfjax ({', '.join(shipped.names())})"
        )
    size = path.stat().st_size
    if size == 0:
        raise UserError(f"{path} is empty: get it again")
    if size > _MAX_BYTES:
        raise UserError(f"{path} has {size} bytes, more than {_MAX_BYTES}: give fewer weights")
    return size
