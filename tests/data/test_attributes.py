"""What a manifest says of clips comes back as it was, also where a spreadsheet would run it."""

import pytest

from dfjax.corpora.folder import read_folder
from dfjax.data import attributes


def test_columns_of_a_manifest_are_attributes_of_the_clips(tmp_path):
    (tmp_path / "-faces").mkdir()
    for name in "abc":
        (tmp_path / "-faces" / f"{name}.png").write_bytes(name.encode())
    (tmp_path / "-faces" / "manifest.csv").write_text(
        "path,label,split,Gender,clip,change\na.png,0,test,female,x,-5\nb.png,1,test,,y,=1+1\n"
        "c.png,1,test,männlich,z,7\n"
    )
    attributes.write(tmp_path, read_folder(tmp_path / "-faces"))
    assert attributes.read(tmp_path) == {
        "-faces/real/a.png": {"gender": "female", "change": "-5"},
        "-faces/fake/b.png": {"gender": "", "change": "=1+1"},
        "-faces/fake/c.png": {"gender": "männlich", "change": "7"},
    }


def test_without_attributes_there_is_no_table(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(b"a")
    attributes.write(tmp_path, read_folder(tmp_path))
    assert not (tmp_path / attributes.FILE).exists()
    assert attributes.read(tmp_path) == {}


def test_a_table_without_keys_is_refused(tmp_path):
    (tmp_path / attributes.FILE).write_text("path,gender\na,f\n")
    with pytest.raises(ValueError, match=r"attributes.csv has the columns path, gender: clip"):
        attributes.read(tmp_path)
