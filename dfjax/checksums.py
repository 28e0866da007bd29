"""What a folder held when it was finished: `checksums.json`.

Storage loses and flips bits, copies end half-way, and neither is seen where files are only read.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from dfjax import files
from dfjax.errors import UserError

FILE = "checksums.json"
_FIELDS = ("bytes", "sha256", "edges")
_EDGE = 64 * 2**10  # bytes at both ends, where formats keep what a reader needs first


@dataclasses.dataclass(frozen=True)
class Compared:
    """A file that was compared with what was written down of it.

    Attributes:
      path: the file.
      damage: what is wrong with it; None: nothing.
      done, total: bytes of the files up to this one, and of all.
    """

    path: pathlib.Path
    damage: str | None
    done: int
    total: int


class DamagedError(UserError):
    """A folder is not what it was when it was finished; the message names the file."""


def of(path: pathlib.Path) -> dict[str, Any]:
    """Returns what is written down of a file, as JSON.

    `bytes`, `sha256`, and `edges`, the SHA-256 of its first and last 64 KiB.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": sha256, "edges": _edges(path)}


def write(folder: pathlib.Path, elsewhere: Mapping[str, dict[str, Any]] | None = None) -> None:
    """Writes the checksums of what is below `folder`, whole or not at all.

    `elsewhere` has those of further files, which are not here, by their path.
    """
    found = {path.relative_to(folder).as_posix(): of(path) for path in _files(folder)}
    found = dict(sorted({**found, **(elsewhere or {})}.items()))
    files.replace_json(folder / FILE, {"files": found})


def is_in(folder: pathlib.Path) -> bool:
    """Whether a folder has checksums."""
    return (folder / FILE).is_file()


def listed(folder: pathlib.Path) -> dict[str, str]:
    """Returns the SHA-256 of each file below `folder` as it was written down, by name.

    Raises:
      DamagedError: they cannot be read.
    """
    return {name: of["sha256"] for name, of in _read(folder).items()}


def sizes(folder: pathlib.Path) -> dict[str, int]:
    """Returns the bytes of each file below `folder` as they were written down, by name.

    Raises:
      DamagedError: they cannot be read.
    """
    return {name: of["bytes"] for name, of in _read(folder).items()}


def check(folder: pathlib.Path, *, whole: bool = True, may_lack: bool = False) -> None:
    """Compares the files below `folder` with its checksums, up to the first that differs.

    Files may be missing in a folder that `may_lack` some.

    Raises:
      DamagedError: a file differs or is missing, or they cannot be read.
    """
    for found in compare(folder, whole=whole):
        if found.damage is not None and not (may_lack and not found.path.exists()):
            raise DamagedError(found.damage)


def compare(folder: pathlib.Path, *, whole: bool = True) -> Iterator[Compared]:
    """Compares the files below `folder` with its checksums; others that are there are ignored.

    Not `whole` compares sizes and edges alone, which finds what was cut off or replaced, and takes
    no time.

    Raises:
      DamagedError: they cannot be read.
    """
    known = [(name, of["bytes"], of["edges"], of["sha256"]) for name, of in _read(folder).items()]
    total = sum(size for _, size, _, _ in known)
    done = 0
    for name, size, edges, sha256 in known:
        damage = _compare(folder / name, size, edges, sha256 if whole else None)
        done += size
        yield Compared(folder / name, damage, done, total)


def _read(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What was written down of each file, by name; it has all of the fields."""
    try:
        found = json.loads((folder / FILE).read_text())["files"]
        return {name: {field: of[field] for field in _FIELDS} for name, of in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{folder / FILE} is damaged ({error})") from error


def _compare(path: pathlib.Path, size: int, edges: str, sha256: str | None) -> str | None:
    try:
        if (found := path.stat().st_size) != size:
            return f"{path} has {found:,} of {size:,} bytes"
        if _edges(path) != edges:
            return f"{path} is damaged: it begins or ends otherwise than it was written"
        if sha256 is None:
            return None
        with path.open("rb") as file:
            is_equal = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None if is_equal else f"{path} is damaged: its SHA-256 is not that of what was written"


def _edges(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_EDGE))
        size = os.fstat(file.fileno()).st_size
        file.seek(max(file.tell(), size - _EDGE))
        digest.update(file.read())
    return digest.hexdigest()


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All files but the checksums and what is hidden, sorted."""
    found = (pathlib.Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(p for p in found if p != folder / FILE and not p.name.startswith("."))
