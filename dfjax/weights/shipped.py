"""The weights and the detector that come with dfjax.

Reads no file: whoever names them need not load a format.
"""

import pathlib

LICENSE = "Apache License 2.0"
"""Of the weights to start from; pretrained/NOTICE says what they were made from."""

DETECTOR = pathlib.Path(__file__).with_name("detector")
"""The export that judges where no model is named; `scripts/make_detector.py` makes it."""

DETECTOR_SHA256 = "8554eeb2593292c878e0de82647055492a980bcf563d3124e15b428f144bc720"
"""Of its export.json, which lists every other file with its own."""

TERMS = "TERMS.md"  # in its folder, and in exports of it

_FOLDER = pathlib.Path(__file__).with_name("pretrained")


def names() -> list[str]:
    """Returns the names of the weights to start from that come with dfjax."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def path(name: str) -> pathlib.Path:
    """Returns the file of the weights of this name."""
    return _FOLDER / f"{name}.safetensors"
