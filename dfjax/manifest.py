"""What a folder held when it was finished: `manifest.json`, the SHA-256 of every file below it.

Storage loses and flips bits, copies end half-way, and neither is seen where files are only read.
"""

import hashlib
import json
import os
import pathlib

from dfjax import files
from dfjax.errors import UserError

FILE = "manifest.json"
_EDGE = 64 * 2**10  # bytes at both ends, where formats keep what a reader needs first


class DamagedError(UserError):
    """A folder is not what it was when it was finished; the message names the file."""


def write(folder: pathlib.Path) -> None:
    """Writes the manifest of what is below `folder`, whole or not at all.

    Per file, by its path: `bytes`, `sha256`, and `edges`, the SHA-256 of its first and last 64 KiB.
    """
    found = {}
    for path in _files(folder):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        found[name] = {"bytes": path.stat().st_size, "sha256": sha256, "edges": _edges(path)}
    files.replace_json(folder / FILE, {"files": found})


def is_in(folder: pathlib.Path) -> bool:
    """Whether a folder has a manifest."""
    return (folder / FILE).is_file()


def check(folder: pathlib.Path, *, whole: bool = True) -> None:
    """Compares the files below `folder` with its manifest; files that it does not list are ignored.

    Not `whole` compares sizes and edges alone, which finds what was cut off or replaced, and takes
    no time.

    Raises:
      DamagedError: a file differs or is missing, or the manifest cannot be read.
    """
    try:
        listed = json.loads((folder / FILE).read_text())["files"]
        known = {
            folder / name: (of["bytes"], of["edges"], of["sha256"]) for name, of in listed.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{folder / FILE} is damaged ({error})") from error
    for path, (size, edges, sha256) in known.items():
        try:
            _check(path, size, edges, sha256 if whole else None)
        except OSError as error:
            raise DamagedError(f"{path} cannot be read ({error.strerror})") from error


def _check(path: pathlib.Path, size: int, edges: str, sha256: str | None) -> None:
    if (found := path.stat().st_size) != size:
        raise DamagedError(f"{path} has {found:,} of {size:,} bytes")
    if _edges(path) != edges:
        raise DamagedError(f"{path} is damaged: it begins or ends otherwise than it was written")
    if sha256 is None:
        return
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DamagedError(f"{path} is damaged: its SHA-256 is not that of what was written")


def _edges(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_EDGE))
        size = os.fstat(file.fileno()).st_size
        file.seek(max(file.tell(), size - _EDGE))
        digest.update(file.read())
    return digest.hexdigest()


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All files but the manifest and what is hidden, sorted."""
    found = (pathlib.Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(p for p in found if p != folder / FILE and not p.name.startswith("."))
