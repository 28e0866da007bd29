"""What an export consists of: export.json lists every file with its SHA-256, and is checked.

An export is a program, so what is opened must be what was written. The digest of export.json itself
stands for the whole export.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from dfjax import compatibility, files
from dfjax.errors import UserError
from dfjax.weights import shipped

FILE = "export.json"

_REMEDY = "copy it again, or export the run again (dfjax export)"
_REINSTALL = "install dfjax again, or name another model"  # of the one that comes with it


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The files of the export in `folder`.

    Attributes:
      folder: where they are.
      sha256: by path below it, with slashes; `FILE` itself is not among them.
      remedy: what to do about a file that is not as it was written.
    """

    folder: pathlib.Path
    sha256: dict[str, str]
    remedy: str = _REMEDY

    def require(self, name: str) -> pathlib.Path:
        """Returns the path of the file or folder `name` after a look at every byte of it.

        Raises:
          UserError: a file differs from what was written, is missing, or was not there then.
        """
        top = self.folder / name
        listed = {path for path in self.sha256 if path == name or path.startswith(f"{name}/")}
        there = {path.relative_to(self.folder).as_posix() for path in _files_of(top)}
        for path in sorted(listed | there):
            file = self.folder / path
            found = digest(file) if file.is_file() else "none"
            expected = self.sha256.get(path, "none")
            if path not in self.sha256 or found != expected:
                raise UserError(
                    f"{file}: its SHA-256 is {found}, and {FILE} says {expected}: the export was "
                    f"changed or is damaged; {self.remedy}"
                )
        return top


def read(folder: pathlib.Path, expect: str | None = None) -> Manifest:
    """Returns the manifest of the export in `folder`; `expect` is the digest that it must have.

    Of the detector that comes with dfjax, that is the one that stands in the code.

    Raises:
      UserError: there is no export, another one, or one of a format that this version does not
        read; the message says what to do.
    """
    if folder != shipped.DETECTOR:
        return _read(folder, expect)
    try:
        found = _read(folder, expect or shipped.DETECTOR_SHA256)
    except UserError as error:
        raise UserError(
            f"the detector that comes with dfjax cannot be used ({error}): {_REINSTALL}"
        ) from error
    return dataclasses.replace(found, remedy=_REINSTALL)


def _read(folder: pathlib.Path, expect: str | None) -> Manifest:
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder} holds neither a run (config.json) nor an export ({FILE}): give one"
        )
    if expect not in (None, found := digest(path)):
        raise UserError(
            f"{path}: its SHA-256 is {found}, and {expect} is expected: this is another export; "
            "give the one that --expect stands for, or what dfjax export printed for this one"
        )
    try:
        fields = json.loads(path.read_text())
        number, sha256 = fields.get("format"), fields.get("sha256")
    except (ValueError, AttributeError) as error:
        raise compatibility.EXPORT.unreadable(folder, f"{FILE}: {error}") from error
    compatibility.EXPORT.require(number, folder)
    if not isinstance(sha256, dict):
        raise compatibility.EXPORT.unreadable(folder, f"{FILE} lacks sha256")
    return Manifest(folder, sha256)


def write(folder: pathlib.Path, report: dict[str, Any]) -> dict[str, Any]:
    """Writes `report` and the digests of all files in `folder` as its export.json; returns both."""
    paths = sorted(path for path in _files_of(folder) if path != folder / FILE)
    sha256 = {path.relative_to(folder).as_posix(): digest(path) for path in paths}
    content = {**report, "sha256": sha256}
    files.replace_json(folder / FILE, content)
    return content


def digest(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files_of(top: pathlib.Path) -> Iterator[pathlib.Path]:
    """`top`, or the files below it; links to folders are not followed, and count as files."""
    for path in [top, *top.rglob("*")]:
        if path.is_symlink() or path.is_file():
            yield path
