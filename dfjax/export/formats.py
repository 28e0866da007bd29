"""The formats of an export: the artefacts that each consists of, and the packages that it needs.

Loads neither JAX nor any of these packages, so that the command line can name the formats at once.
"""

import dataclasses
import importlib.util
from collections.abc import Collection

from dfjax.errors import UserError
from dfjax.inference import runtimes


@dataclasses.dataclass(frozen=True)
class Format:
    """One way to save a model.

    Attributes:
      artefacts: names of its files and folders in an export.
      packages: importable names of what writes it, and of what runs it for the comparison.
    """

    artefacts: tuple[str, ...]
    packages: tuple[str, ...] = ()


SAVED_MODEL = runtimes.RUNTIMES["savedmodel"].artefact
SCORE = runtimes.RUNTIMES["stablehlo"].artefact
HEAT_MAPS = runtimes.HEAT_MAPS
WEIGHTS = runtimes.WEIGHTS
ONNX = runtimes.RUNTIMES["onnx"].artefact

FORMATS = {
    "savedmodel": Format((SAVED_MODEL,), ("tensorflow", "orbax.export")),
    "stablehlo": Format((SCORE, HEAT_MAPS)),
    "onnx": Format((ONNX,), ("jax2onnx", "onnxruntime", "openvino")),
    "safetensors": Format((WEIGHTS,)),
}
ARTEFACTS = frozenset(name for entry in FORMATS.values() for name in entry.artefacts)


def require_packages(formats: Collection[str]) -> None:
    """Checks that `formats` are names of formats, at least one, and that they can be written.

    Raises:
      UserError: an unknown name or none, or a package is missing.
    """
    if not formats or set(formats) - set(FORMATS):
        raise UserError(f"formats {list(formats)}: choose from {', '.join(FORMATS)}")
    packages = [package for name in formats for package in FORMATS[name].packages]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f'{", ".join(missing)} is not installed: pip install "dfjax[export]"')
