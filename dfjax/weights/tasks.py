"""What the sandbox does with a file of weights: recognizes its format, and parses it.

Whatever looks into a stranger's file is called from here, and runs in a process without rights.
Messages say what is wrong with the file, and follow its name.
"""

import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfjax import console
from dfjax.errors import UserError
from dfjax.media.errors import MediaError
from dfjax.weights import dlib_file, formats

REFUSED = "refused"  # the code of an error whose message is for the user


def load() -> None:
    """Everything is imported already."""


touch = load


def read(
    arguments: dict[str, Any], _: Sequence[bytes], __: Any
) -> tuple[dict[str, Any], formats.Tensors]:
    """Returns ({"format", "metadata"}, tensors) of a file.

    `arguments` are its "path", and the "format" that was named, or None.

    Raises:
      MediaError: the file is damaged, or has another format.
    """
    path = pathlib.Path(arguments["path"])
    try:
        format = _require_format(arguments["format"], _recognize(path))
        content = _parse(path, format)
    except UserError as error:
        raise MediaError(REFUSED, str(error)) from error
    tensors = {name: _plain(value) for name, value in content.tensors.items()}
    return {"format": format, "metadata": content.metadata}, tensors


TASKS = {"read": read}


def _parse(path: pathlib.Path, format: str) -> formats.Content:
    try:
        return formats.READERS[format](path)
    except UserError as error:
        raise UserError(f"cannot be used: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # libraries raise all kinds of them for damaged files
        reason = console.one_line(error)[:300] or type(error).__name__
        raise UserError(
            f"is not a sound file of format {format} ({reason}): get it again"
        ) from error


def _require_format(named: str | None, actual: str) -> str:
    """The actual format, if it may be read and is the one that was named."""
    if actual == "pth" and named != "pth":
        raise UserError(
            "is a pickle, which may run any code when it is opened: give the weights as "
            "safetensors, or, if they are PyTorch's and you trust them, ask for pth:FILE"
        )
    if named and named != actual:
        raise UserError(f"has the format {actual}, not {named}: name {actual}, or none")
    return actual


def _recognize(path: pathlib.Path) -> str:
    """The format of a file, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if dlib_file.is_dlib_network(head):
        return "dlib"
    if head.startswith(b"PK"):
        return _recognize_zip(path)
    if head[8:9] == b"{":
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "pth"
    if head.startswith(b"version https://git-lfs"):
        raise UserError("is a pointer of Git LFS, not the file: run git lfs pull")
    raise UserError(
        f"has none of the formats that dfjax reads ({', '.join(formats.READERS)}): convert it to "
        "safetensors"
    )


def _recognize_zip(path: pathlib.Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # as in `_parse`
        raise UserError(f"is a damaged or truncated zip ({error}): get it again") from error
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith(".pkl") for name in names):
        return "pth"
    if "model.weights.h5" in names:
        raise UserError("is an archive of Keras 3: load it there and save it as .h5")
    raise UserError("is a zip without weights: give npz or safetensors")


def _plain(value: np.ndarray) -> np.ndarray:
    """The array in one of the types that leave the sandbox: truths, int64 and float32."""
    kinds = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}
    return value.astype(kinds[value.dtype.kind], copy=False)
