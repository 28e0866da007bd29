"""A gate is the same in every runtime, and refuses strangers wherever the model runs."""

import csv
import json
import shutil

import jsonschema
import numpy as np
import pytest

from dfjax import evaluate, model_card, words
from dfjax.errors import UserError
from dfjax.export import parity
from dfjax.familiarity import store
from dfjax.inference import predict, report, runtimes, scorer
from dfjax.inference.detector import Detector
from dfjax.media import image
from tests import gated, tiny_run
from tests.html_page import Page

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The paths of a picture that the model knows and of one that it does not."""
    folder = tmp_path_factory.mktemp("both")
    for name, picture in zip(("known", "strange"), pictures(), strict=True):
        (folder / f"{name}.png").write_bytes(image.encode_image(picture, "png"))
    return [str(folder / "known.png"), str(folder / "strange.png")]


def pictures():
    return np.stack([gated.make_pictures(2)[0], gated.make_stranger()])


def test_the_card_says_method_limit_and_statistics(gated_run):
    card = model_card.read(gated_run)
    assert card.maps == (("stage2_block2", 2), ("stage3_block2", 4), ("detail", 2))
    assert card.embedding.fitted_on == {"training": 120, "strangers": 160, "held_out": 24}
    assert store.digest(store.read(gated_run, card.embedding)) == card.embedding.statistics
    assert model_card.ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


@pytest.mark.parametrize("runtime", runtimes.RUNTIMES)
def test_every_runtime_gives_the_strangeness_of_the_checkpoint(gated_run, gated_export, runtime):
    crops = np.concatenate([gated.make_pictures(5, seed=1), gated.make_stranger()[None]])
    expected = scorer.load(gated_run).outputs(crops)
    found = scorer.load(gated_export, runtime).outputs(crops)
    atol = parity.tolerance(runtimes.RUNTIMES[runtime].artefact)["strangeness"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol)
    limit = model_card.read(gated_export).quality.max_strangeness
    assert (found[:, 1] > limit).tolist() == [False] * 5 + [True]


def test_the_export_was_compared_in_strangeness(gated_export):
    deviations = json.loads((gated_export / "export.json").read_text())["deviations"]
    found = [
        (by_quantity["strangeness"], parity.tolerance(artefact)["strangeness"])
        for artefact, by_runtime in deviations.items()
        for by_quantity in by_runtime.values()
        if artefact != "explain.stablehlo"
    ]
    assert len(found) == 9  # five runtimes, and four signatures of the SavedModel
    assert all(deviation < limit for deviation, limit in found)


def test_a_savedmodel_calls_a_stranger_inconclusive_without_dfjax(gated_export):
    import tensorflow

    model = tensorflow.saved_model.load(str(gated_export / "saved_model/1"))
    found = model.signatures["crops"](image=tensorflow.constant(pictures()))
    assert set(found) == {"score", "logit", "strangeness", "label"}
    assert found["label"].numpy()[1] == b"inconclusive"
    card = model_card.read(gated_export)
    assert found["label"].numpy()[0].decode() == card.decide_crop(found["score"].numpy()[0], -9.0)


def test_a_stranger_gets_no_verdict_from_predict_and_the_report_says_why(
    gated_export, both, tmp_path
):
    detector = Detector.load(gated_export, runtime="onnx")
    known, strange = predict.predict(both, detector, tmp_path)
    assert known["reason"] != "unlike_training"
    assert (strange["verdict"], strange["reason"]) == ("inconclusive", "unlike_training")
    assert strange["score"] is None
    assert strange["text"] == f"Not applicable: {words.REASONS['unlike_training']}."
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert rows[1]["reason"] == "unlike_training"
    html = tmp_path / strange["report"]
    written = json.loads(html.with_suffix(".json").read_text())
    jsonschema.validate(written, json.loads(report.SCHEMA_FILE.read_text()))
    assert written["timeline"][0]["faces"][0]["quality"] == "unlike_training"
    assert written["tracks"][0]["usable"] == 0
    assert written["strongest"] == []
    assert "unlike the training data" in Page(html.read_text()).text
    assert "did not learn from faces like these" in written["verdict"]["meaning"]


def test_an_evaluation_counts_refusals_by_class_and_what_they_do_to_errors(
    gated_run, gated_export, tmp_path
):
    data = gated_run.parent / "data"
    evaluate.evaluate_export(gated_export, [f"{data}:val"], tmp_path, runtime="onnx")
    (found,) = json.loads((tmp_path / "report.json").read_text())["datasets"]
    rows = list(csv.DictReader((tmp_path / "data-val/scores.csv").read_text().splitlines()))
    limit = model_card.read(gated_run).quality.max_strangeness
    for label, name in enumerate(("real", "fake")):
        strange = [float(row["strangeness"]) > limit for row in rows if int(row["label"]) == label]
        assert found["gate"]["refused"][name] == {"faces": 12, "refused": sum(strange)}
    refused = sum(row["quality"] == "unlike_training" for row in rows)
    assert refused == 1  # 3 % of the 24 that set the limit
    assert found["gate"]["risk"]["with"][-1] is None
    for name in ("report.html", "report.md"):
        assert "unlike the training data" in (tmp_path / name).read_text()


def test_another_evaluation_takes_the_same_statistics_again(gated_run, tmp_path):
    shutil.copytree(gated_run, tmp_path / "run")
    before = model_card.read(gated_run)
    settings = {"eval.trivial_cues": 0, "eval.abstain_error_rate": 0.1}
    config = tiny_run.make_config(gated_run.parent / "data", **settings)
    evaluate.evaluate(config, tmp_path / "run")
    assert model_card.read(tmp_path / "run").embedding == before.embedding
    config.eval.gate_crops = 0
    evaluate.evaluate(config, tmp_path / "run")
    without = model_card.read(tmp_path / "run")
    assert (without.embedding, without.quality.max_strangeness) == (None, None)


@pytest.mark.parametrize("damage", ["missing", "damaged", "another"])
def test_statistics_that_are_not_those_of_the_card_are_refused(gated_run, tmp_path, damage):
    shutil.copytree(gated_run, tmp_path / "run")
    file = tmp_path / "run" / store.FILE
    if damage == "missing":
        file.unlink()
    elif damage == "damaged":
        file.write_bytes(file.read_bytes()[:100])
    else:
        statistics = store.read(gated_run, model_card.read(gated_run).embedding)
        store.write(file.parent, statistics._replace(offset=statistics.offset + 1))
    with pytest.raises(UserError, match="evaluate the run again"):
        scorer.load(tmp_path / "run")
