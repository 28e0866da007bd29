"""What is installed from a wheel is everything in the package: data, pages, weights and terms."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dfjax", source / "dfjax", ignore=ignored)
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    return source


def test_a_wheel_holds_every_file_of_the_package(source, tmp_path):
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    paths = [path for path in (source / "dfjax").rglob("*") if path.is_file()]
    assert len(paths) > 200
    for path in paths:
        assert packed[path.relative_to(source).as_posix()] == path.read_bytes()
    terms = {"LICENSE", "detector/TERMS.md", "pretrained/LICENSE", "pretrained/NOTICE"}
    licences = [name for name in packed if ".dist-info/licenses/" in name]
    assert {name for name in terms if any(path.endswith(name) for path in licences)} == terms
    assert wheel.stat().st_size < 40e6


def test_an_editable_install_is_found_from_the_folder_next_to_the_clone(source, tmp_path):
    build = f"from setuptools import build_meta; build_meta.build_editable({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        installed = {name: archive.read(name) for name in archive.namelist() if "/" not in name}
    # A path alone: a hook, which is a module, is asked after the folders of sys.path.
    ((name, content),) = installed.items()
    assert name.endswith(".pth")
    assert content.decode().strip() == str(source)
