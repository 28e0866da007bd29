"""Which versions of other packages are installed: the one place that asks.

Asking for a package that is absent is not an error. Imports nothing of dfjax.
"""

import importlib.metadata

# What decides how a crop looks.
_CROP_PACKAGES = ("dfjax", "dlib-bin", "opencv-python-headless", "av")
# Packages that provide the same module as the one that dfjax asks for.
_SUBSTITUTES = {
    "dlib-bin": ("dlib",),  # compiled by hand
    "opencv-python-headless": (
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
}


def installed() -> dict[str, str]:
    """Returns the versions of the packages that decide how a crop looks, by name."""
    return {package: installed_version(package) for package in _CROP_PACKAGES}


def installed_version(package: str) -> str:
    """Returns the version of a package, or of what stands in its place; else "not installed"."""
    for name in (package, *_SUBSTITUTES.get(package, ())):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"  # as dfjax itself, run from its source tree
