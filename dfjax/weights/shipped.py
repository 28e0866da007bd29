"""The weights that come with dfjax. Reads no file: whoever names them need not load a format."""

import pathlib

LICENSE = "Apache License 2.0"
"""Of all of them; pretrained/NOTICE says what they were made from."""

_FOLDER = pathlib.Path(__file__).with_name("pretrained")


def names() -> list[str]:
    """Returns the names of the weights that come with dfjax."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def path(name: str) -> pathlib.Path:
    """Returns the file of the weights of this name."""
    return _FOLDER / f"{name}.safetensors"
