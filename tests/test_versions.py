"""What is installed is named, what is absent is not an error."""

import sys

import numpy as np
import pytest

from dfjax import versions


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package into an environment that is empty otherwise."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def install(name: str, version: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")

    return install


def test_a_package_has_the_version_that_it_has_itself():
    assert versions.installed_version("numpy") == np.__version__


def test_an_absent_package_is_not_an_error(install):
    assert versions.installed_version("dfjax") == "not installed"
    assert set(versions.installed().values()) == {"not installed"}


@pytest.mark.parametrize(
    ("package", "substitute"),
    [("dlib-bin", "dlib"), ("opencv-python-headless", "opencv-contrib-python")],
)
def test_a_package_in_the_place_of_another_counts(install, package, substitute):
    install(substitute, "19.24.6")
    assert versions.installed_version(package) == "19.24.6"
    assert versions.installed()[package] == "19.24.6"
    install(package, "20.0.0")
    assert versions.installed_version(package) == "20.0.0"
