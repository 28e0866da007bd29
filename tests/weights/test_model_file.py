"""A model as one file of weights is the model, whoever reads it."""

import jax
import numpy as np
import pytest

from dfjax import tree
from dfjax.export import export, source
from dfjax.familiarity import gate
from dfjax.inference import scorer
from dfjax.run import Run
from dfjax.weights import convert, files, model_file

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_what_is_read_is_what_was_written(run, tmp_path):
    card, model, variables = Run.open(run).evaluated()
    model_file.write(tmp_path / "a.safetensors", variables, card)
    model_file.write(tmp_path / "b.safetensors", variables, card)
    first, second = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "ab")
    assert first == second
    read_model, read = model_file.read(tmp_path / "a.safetensors", card)
    assert read_model == model
    assert tree.digest(read) == card.weights  # no kernel of these is large
    # Runs begin with such a file: it is one of our formats, and states what images were like.
    file = files.read(tmp_path / "a.safetensors")
    assert sorted(file.tensors) == sorted(tree.leaf_names(variables))
    assert file.normalization == {"mean": model.mean, "std": model.std}


def test_statistics_of_a_gate_travel_along_and_no_run_begins_with_them(run, tmp_path):
    card, model, variables = Run.open(run).evaluated()
    statistics = {"mean": np.arange(3, dtype=np.float32)}
    path = tmp_path / "a.safetensors"
    model_file.write(path, {**variables, gate.COLLECTION: statistics}, card)
    _, read = model_file.read(path, card)
    np.testing.assert_array_equal(read[gate.COLLECTION]["mean"], statistics["mean"])
    started, transfer = convert.convert(files.read(path).tensors, model, variables, reinit="")
    assert tree.digest(started) == card.weights
    assert transfer.dropped == (f"{gate.COLLECTION}/mean",)


def test_scores_of_rounded_kernels_are_those_of_the_run_to_a_thousandth(
    run, crops, tmp_path, monkeypatch
):
    monkeypatch.setattr(model_file, "PACKED", 1)
    report = export.export(run, tmp_path / "export", ["safetensors"])
    measured = report["deviations"]["model.safetensors"]["flax"]["score"]
    assert 0 < measured <= 1e-3 == report["tolerance"]["model.safetensors"]["score"]
    found, expected = scorer.load(tmp_path / "export"), scorer.load(run)
    np.testing.assert_allclose(found.scores(crops), expected.scores(crops), rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.heat_maps(crops), expected.heat_maps(crops), atol=0.05)
    exact = sum(leaf.nbytes for leaf in jax.tree.leaves(Run.open(run).variables()[0]))
    assert (tmp_path / "export" / "model.safetensors").stat().st_size < 0.6 * exact


def test_an_export_of_the_weights_is_exported_again(run, crops, tmp_path):
    opened = source.open_source(run)._replace(terms="Mine.\n")
    export.export(opened, tmp_path / "weights", ["safetensors"])
    report = export.export(tmp_path / "weights", tmp_path / "other", ["stablehlo"])
    assert report["crops_are"] == "drawn faces"
    expected, found = scorer.load(run), scorer.load(tmp_path / "other")
    assert (found.runtime, found.card) == ("stablehlo", expected.card)
    np.testing.assert_allclose(found.scores(crops), expected.scores(crops), atol=1e-5)
    for text in ("MODEL_CARD.md", "TERMS.md"):
        assert len({(tmp_path / name / text).read_text() for name in ("weights", "other")}) == 1
