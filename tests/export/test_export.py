"""What an export is, what it is compared with, and when there is none."""

import importlib.util
import json
import pathlib
import shutil

import jax
import pytest

from dfjax import model_card
from dfjax.errors import UserError
from dfjax.export import export
from dfjax.models import fold
from dfjax.report.estimate import Estimate
from dfjax.run import Run

pytestmark = pytest.mark.usefixtures("quick_compilation")


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_export_holds_every_artefact_and_says_how_near_it_is(run, exported):
    names = {path.name for path in exported.iterdir()}
    assert names == {
        "saved_model",
        "score.stablehlo",
        "explain.stablehlo",
        "model.onnx",
        "model.safetensors",
        "model_card.json",
        "MODEL_CARD.md",
        "export.json",
    }
    assert (exported / "saved_model" / "1" / "saved_model.pb").is_file()
    assert model_card.read(exported) == model_card.read(run)
    card = (exported / "MODEL_CARD.md").read_text()
    assert json.loads((exported / "model_card.json").read_text())["weights"] in card
    evaluated = json.loads((run / "eval" / "report.json").read_text())["datasets"][0]
    auc = evaluated["levels"]["frame"]["metrics"]["auc"]
    assert f"| AUC | {Estimate.of(auc)} |" in card
    deviations = json.loads((exported / "export.json").read_text())["deviations"]
    assert {name: sorted(by_runtime) for name, by_runtime in deviations.items()} == {
        "model.onnx": ["onnx", "openvino"],
        "model.safetensors": ["flax"],
        "score.stablehlo": ["stablehlo"],
        "explain.stablehlo": ["stablehlo"],
        "saved_model": [
            "savedmodel",
            "savedmodel, crops",
            "savedmodel, float",
            "savedmodel, jpeg",
            "savedmodel, png",
        ],
    }
    measured = [quantities for by in deviations.values() for quantities in by.values()]
    scores = [quantities["score"] for quantities in measured if "score" in quantities]
    assert len(scores) == 9
    assert max(scores) <= 1e-5


@pytest.mark.parametrize(("mistake", "deviation"), [(1.1, r"\d\S*"), (float("nan"), "nan")])
def test_an_artefact_that_deviates_is_not_an_export(
    run, exported, tmp_path, monkeypatch, mistake, deviation
):
    sound = fold.fold

    def spoiled(model, variables):
        model, variables = sound(model, variables)
        return model, jax.tree.map(lambda leaf: leaf * mistake, variables)

    out = tmp_path / "model"
    shutil.copytree(exported, out)
    before = _contents(out)
    monkeypatch.setattr(fold, "fold", spoiled)
    message = (
        rf"score.stablehlo by stablehlo deviates .* by {deviation} in score \(allowed: 1e-05\)"
    )
    with pytest.raises(UserError, match=message):
        export.export(run, out, ["stablehlo"])
    assert _contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_newer_export_replaces_an_older_one_and_nothing_else(run, exported, tmp_path):
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    report = export.export(Run.open(run), out, ["stablehlo"])
    assert sorted(path.name for path in out.iterdir()) == [
        "MODEL_CARD.md",
        "explain.stablehlo",
        "export.json",
        "model_card.json",
        "score.stablehlo",
    ]
    assert report == json.loads((out / "export.json").read_text())
    (out / "thesis.tex").write_text("years of work")
    for folder in (out, run, out / "thesis.tex"):
        before = _contents(folder.parent)
        with pytest.raises(UserError, match="holds something else than an export: give a new"):
            export.export(run, folder, ["stablehlo"])
        assert _contents(folder.parent) == before


def test_a_model_trained_in_bfloat16_is_exported_in_float32(run, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(run, half)
    config = json.loads((half / "config.json").read_text())
    config["model"]["dtype"] = "bfloat16"
    (half / "config.json").write_text(json.dumps(config))
    report = export.export(half, tmp_path / "out", ["stablehlo"])
    assert report["deviations"]["score.stablehlo"]["stablehlo"]["score"] <= 1e-5


def test_what_cannot_be_exported_is_refused_before_anything_is_written(run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for formats in (["onnx", "tflite"], []):
        with pytest.raises(UserError, match="choose from savedmodel, stablehlo, onnx, safetensors"):
            export.export(run, out, formats)
    lost = tmp_path / "lost"
    shutil.copytree(run, lost)
    config = json.loads((lost / "config.json").read_text())
    config["data"]["dir"] = "data/faces"
    (lost / "config.json").write_text(json.dumps(config))
    (lost / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match=r"data/faces, which .* was trained on, is gone: .* again"):
        export.export(lost, out, ["onnx"])
    shutil.copy(run / "config.json", lost)
    (lost / model_card.FILE).unlink()
    with pytest.raises(UserError, match=r"has no model_card.json: evaluate the run first"):
        export.export(lost, out, ["onnx"])
    # The tests need every package, so their absence is simulated.
    find_spec = importlib.util.find_spec
    absent = {"jax2onnx", "openvino"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else find_spec(name)
    )
    message = r'jax2onnx, openvino is not installed: pip install "dfjax\[export\]"'
    with pytest.raises(UserError, match=message):
        export.export(run, out, ["onnx"])
    assert not out.exists()
