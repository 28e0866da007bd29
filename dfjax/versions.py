"""The packages that decide what a crop looks like, and which versions of them are installed."""

import importlib.metadata

_PACKAGES = ("dfjax", "dlib-bin", "opencv-python-headless", "av")


def installed() -> dict[str, str]:
    """Returns the version of each, by name."""
    return {package: _version(package) for package in _PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # dfjax itself, run from its source tree
