"""MODEL_CARD.md has the sections of the paper, and the numbers of these weights alone."""

import dataclasses
import json

import markdown_it

from dfjax.faces.crop_spec import CropSpec
from dfjax.model_card import ModelCard, Release
from dfjax.report import published_card, results
from tests import cards
from tests.report import reports

PREPARED = {
    "corpus": reports.EVIL,
    "methods": [
        {"split": "train", "method": "real", "clips": 1200},
        {"split": "train", "method": reports.EVIL, "clips": 80},
        {"split": "val", "method": "real", "clips": 100},
        {"split": "test", "method": "real", "clips": 100},
    ],
}
CARD = ModelCard(
    model_name="meso_4",
    model_arguments={"dtype": "float32"},
    image_size=224,
    crop_spec=CropSpec(landmarks=68),
    decisions={"frame": cards.make_decision((1, 0.3, 0.6, 1.0), (8, 0.4, 0.55, 1.0))},
    weights="a" * 64,
    step=12_000,
    synthetic=False,
    protocol=reports.make_dataset()["protocol"],
)


def render(card=CARD, init_from="", found=()):
    return published_card.render(card, init_from=init_from, prepared=PREPARED, results=found)


def test_the_sections_are_those_of_the_paper():
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(render())
    heads = [tokens[i + 1].content for i, token in enumerate(tokens) if token.tag == "h2"]
    assert heads[::2] == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Training data",
        "Evaluation data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
        "Terms",
    ]
    acting = {child.type for token in tokens for child in token.children or ()}
    assert acting <= {"text", "strong_open", "strong_close", "text_special"}


def test_a_model_without_an_evaluation_says_so():
    text = render()
    assert text.count("Not evaluated yet") == 2
    assert "| frame | 0.500 (0.000–1.000) | 0.400 | 0.550 | 0.050 |" in text
    assert "- Clips of the split train: 1,200 real, 80 " in text
    assert "- Clips of the split val: 100 real." in text
    assert "split test" not in text
    assert "No groups of people or conditions have been compared" in text
    assert "drawn faces" not in text
    drawn = render(dataclasses.replace(CARD, synthetic=True))
    assert drawn.index("trained on drawn faces") < drawn.index("## Model details")


def test_the_rule_of_a_verdict_says_how_faces_are_weighted():
    assert "the mean over its usable faces; a file is fake" in render()
    by_confidence = render(dataclasses.replace(CARD, pooling="confidence"))
    assert "usable faces, weighted by how far each is from even; a file is fake" in by_confidence


def test_scores_stand_with_their_intervals():
    found = reports.make_report()
    text = render(found=[(found, reports.make_robustness())])
    auc = found["datasets"][0]["levels"]["video"]["metrics"]["auc"]
    assert f"{auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f})" in text
    assert "Not evaluated yet" not in text
    assert "- data/synthetic:test (synthetic): 320 clips; shares 3 identities" in text
    assert "Compared below: groups by brightness." in text
    assert "bootstrap draws of clips" in text
    assert "AUC under distortions of data/synthetic:test" in text


def test_reports_of_other_weights_are_left_out(tmp_path):
    for name, weights in (("mine", "a" * 64), ("older", "b" * 64)):
        report = reports.make_report()
        report["model"]["weights"] = weights
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    (tmp_path / "scores.json").write_text("{}")
    found = results.find(tmp_path, CARD.weights)
    assert [(each["model"]["weights"], more) for each, more in found] == [(CARD.weights, None)]
    assert results.find(tmp_path / "nowhere", CARD.weights) == []


def test_terms_of_what_the_weights_began_with():
    assert "excludes commercial use" in render()
    assert "began as" not in render()
    assert "comes with dfjax: Apache License 2.0" in render(init_from="efficientnet_lite0")
    assert "They began as package:x: its terms hold as well" in render(init_from="package:x")
    five = dataclasses.replace(CARD, crop_spec=CropSpec(landmarks=5))
    assert "excludes commercial use" not in render(five)


def test_a_released_model_has_its_name_its_data_and_its_terms():
    release = Release("hawk-1", "a thousand faces", "for research and evaluation")
    text = render(dataclasses.replace(CARD, release=release))
    assert text.startswith("# Model card: hawk-1\n")
    assert "- Architecture: meso\\_4\n" in text
    assert "## Training data\n\n- A thousand faces.\n" in text
    assert "## Terms\n\n- These weights are for research and evaluation.\n" in text
    card = dataclasses.replace(CARD, release=release)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))).release == release
    assert ModelCard.from_json({k: v for k, v in CARD.to_json().items() if k != "release"}) == CARD
