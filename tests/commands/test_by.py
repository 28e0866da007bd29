"""From the columns of a manifest to results by groups: prepare, evaluate, report."""

import json

import numpy as np
import pytest

from dfjax import cli, evaluate
from dfjax.corpora import folder
from dfjax.data import attributes
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings

pytestmark = pytest.mark.usefixtures("quick_compilation")


def columns(file) -> dict:
    (dataset,) = json.loads(file.read_text())["datasets"]
    return {row["column"]: row for row in dataset["groups"]["columns"]}


def test_a_column_of_a_manifest_parts_results_also_without_the_model(exported, tmp_path, capsys):
    pictures, rng = tmp_path / "pictures", np.random.default_rng(0)
    pictures.mkdir()
    rows = ["path,label,split,Camera,light"]
    for number in range(12):
        pixels = rng.integers(0, 200, (40, 40, 3), np.uint8)
        (pictures / f"{number}.png").write_bytes(image.encode_image(pixels, "png"))
        rows.append(f"{number}.png,{number % 2},test,{'abc'[number % 3]},{'' if number else 'sun'}")
    (pictures / "manifest.csv").write_text("\n".join(rows) + "\n")
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")
    data = tmp_path / "data"
    prepare.prepare(folder.read_folder(pictures), data, Settings(spec))
    by = ("camera", "camera,light", "gender")
    evaluate.evaluate_export(exported, [f"{data}:test"], tmp_path, runtime="onnx", by=by)
    found = columns(tmp_path / "report.json")
    counts = [(row["group"], row["real"], row["fake"]) for row in found["camera"]["groups"]]
    assert counts == [("a", 2, 2), ("b", 2, 2), ("c", 2, 2)]
    assert all(row["small"] for row in found["camera"]["groups"])
    assert [row["group"] for row in found["camera,light"]["groups"]] == ["a, sun"]
    assert found["gender"] == {"column": "gender", "about": None, "note": "no labels"}
    assert found["brightness"]["groups"]
    printed = capsys.readouterr().out
    assert "(a)" in printed
    assert "gender: no labels" in printed
    # The scores know the columns.
    scores, out = tmp_path / "data-test" / "scores.parquet", tmp_path / "again"
    command = ["report", str(scores), "--model", str(exported), "--out", str(out), "--by", *by]
    assert cli.main(command) == 0
    assert columns(out / "report.json") == found


def test_preparing_again_reads_columns_that_came_since(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 200, (40, 40, 3), np.uint8)
        (pictures / f"{number}.png").write_bytes(image.encode_image(pixels, "png"))
    spec = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")
    for column in ("", ",age"):
        rows = [f"path,label,split{column}", "0.png,0,test,31", "1.png,1,test,"]
        rows = [row if column else row.removesuffix(",31").removesuffix(",") for row in rows]
        (pictures / "manifest.csv").write_text("\n".join(rows) + "\n")
        made = prepare.prepare(folder.read_folder(pictures), tmp_path / "data", Settings(spec))
    assert not made.is_new
    assert attributes.read(tmp_path / "data") == {
        "pictures/real/0.png": {"age": "31"},
        "pictures/fake/1.png": {"age": ""},
    }
