"""`dfjax report` and `dfjax compare`: the numbers of an evaluation without its model."""

import json
import shutil

import numpy as np
import pytest
import sklearn.metrics

from dfjax import cli, model_card
from dfjax.evaluators import compare, levels, score_table
from dfjax.metrics import delong
from tests.evaluators.test_levels import random_table


def report(*arguments: object) -> int:
    return cli.main(["report", *map(str, arguments)])


def datasets(folder) -> list[dict]:
    return json.loads((folder / "report.json").read_text())["datasets"]


@pytest.mark.parametrize("file", ["scores.parquet", "scores.csv"])
def test_a_report_has_the_numbers_of_the_evaluation(run, tmp_path, file):
    (scores,) = (run / "eval").glob(f"*/{file}")
    assert report(scores, "--model", run, "--out", tmp_path) == 0
    (expected,), (found,) = datasets(run / "eval"), datasets(tmp_path)
    # A score is computed from its logit again.
    compare_nested(found["levels"], expected["levels"])
    assert found["coverage"] == expected["coverage"]
    card = model_card.read(run)
    assert found["levels"]["frame"]["threshold"] == card.decision("frame").threshold
    assert found["levels"]["frame"]["threshold_from"] == "model card"
    assert found["protocol"]["temperature"] == card.temperature
    metrics = json.loads((tmp_path / "metrics.json").read_text())[str(scores)]
    evaluated = json.loads((scores.parent / "metrics.json").read_text())
    compare_nested(metrics["frame"], evaluated["frame"])


def compare_nested(found, expected) -> None:
    """Equal keys and texts, and numbers equal to 1e-9."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            compare_nested(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            compare_nested(*pair)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-9)
    else:
        assert found == expected


@pytest.fixture
def foreign(tmp_path):
    """Scores of another tool, which knows of videos alone."""
    rng = np.random.default_rng(0)
    label = np.arange(40) % 2
    logit = rng.normal(2 * label - 1)
    rows = [f"{i}.mp4,{each:.6f},{y}" for i, (each, y) in enumerate(zip(logit, label, strict=True))]
    path = tmp_path / "theirs.csv"
    path.write_text("\n".join(["clip,logit,label", *rows]) + "\n")
    return path, label, np.round(logit, 6)


def test_scores_of_another_tool_are_measured_at_one_half_and_that_is_said(
    foreign, tmp_path, capsys
):
    path, label, logit = foreign
    assert report(path, "--out", tmp_path / "out") == 0
    assert "a score of 0.5 or more is fake" in capsys.readouterr().out
    (found,) = datasets(tmp_path / "out")
    frame = found["levels"]["frame"]
    assert (frame["threshold"], frame["threshold_from"]) == (0.5, "0.5 (no card)")
    auc = sklearn.metrics.roc_auc_score(label, logit)
    assert frame["metrics"]["auc"]["value"] == pytest.approx(auc)
    accuracy = sklearn.metrics.accuracy_score(label, logit >= 0)
    assert frame["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)


def test_a_given_temperature_and_threshold_decide(foreign, tmp_path):
    path, label, logit = foreign
    options = ("--temperature", 2, "--threshold", 0.6, "--out", tmp_path / "out")
    assert report(path, *options) == 0
    frame = datasets(tmp_path / "out")[0]["levels"]["frame"]
    score = 1 / (1 + np.exp(-logit / 2))
    assert (frame["threshold"], frame["threshold_from"]) == (0.6, "given")
    accuracy = sklearn.metrics.accuracy_score(label, score >= 0.6)
    assert frame["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)
    loss = sklearn.metrics.log_loss(label, score)
    assert frame["metrics"]["log_loss_calibrated"]["value"] == pytest.approx(loss)
    raw = sklearn.metrics.log_loss(label, 1 / (1 + np.exp(-logit)))
    assert frame["metrics"]["log_loss"]["value"] == pytest.approx(raw)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", 0], "--temperature 0: use a number above 0"),
        (["--threshold", 1.5], "--threshold 1.5: use a score from 0 to 1"),
        (["--model", "{run}", "--threshold", 0.5], "--model brings thresholds and a temperature"),
        (["--model", "{folder}"], "has no model_card.json: evaluate the run first"),
    ],
)
def test_options_that_contradict_are_refused(foreign, run, tmp_path, capsys, options, message):
    options = [str(each).format(run=run, folder=tmp_path) for each in options]
    assert report(foreign[0], *options, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path, capsys):
    missing = tmp_path / "scores.parquet"
    assert report(missing, "--out", tmp_path / "out") == 2
    assert cli.main(["compare", str(missing), str(missing)]) == 2
    printed = capsys.readouterr().err
    assert printed.count(f"{missing} is no file, or not there: give one that is") == 2


def test_a_model_is_compared_with_itself_and_with_a_better_one(tmp_path, capsys):
    one = random_table(clips=80)
    better = one.at_temperature(1.5)
    shift = np.where(one.label == 1, 1.0, -1.0)
    for name, table in (("one", one), ("better", _shifted(better, shift))):
        score_table.write(tmp_path / name, table)
    files = [str(tmp_path / name / "scores.csv") for name in ("one", "better")]
    assert cli.main(["compare", *files, "--out", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    assert "39 real and 39 fake clips, 2 left out without a face" in printed
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["clips"], found["real"], found["fake"], found["without_face"]) == (78, 39, 39, 2)
    auc = found["metrics"]["auc"]
    videos = levels.samples(one)["video"]
    expected = sklearn.metrics.roc_auc_score(videos.label, videos.score)
    assert auc["a"]["value"] == pytest.approx(expected)
    difference = auc["difference"]
    assert difference["value"] == pytest.approx(auc["b"]["value"] - auc["a"]["value"])
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert auc["p_value"] < 0.01
    assert found["delong"]["p_value"] < 0.01
    # DeLong's interval of the difference is near that of the bootstrap.
    width = 2 * 1.96 * found["delong"]["standard_error"]
    assert difference["high"] - difference["low"] == pytest.approx(width, rel=0.25)

    same = compare.compare(one, one, draws=50)
    assert set(same["metrics"]["auc"]["difference"].values()) == {0.0}
    assert same["metrics"]["auc"]["p_value"] == 1.0
    assert (same["delong"]["standard_error"], same["delong"]["p_value"]) == (0.0, 1.0)


def _shifted(table, shift):
    logit = table.logit + shift
    shifted = score_table.ScoreTable(
        **{name: getattr(table, name) for name in score_table.COLUMNS} | {"logit": logit}
    )
    return shifted.at_temperature(1.5)


def test_chance_is_no_difference():
    """Of models of the same strength, about one in twenty differs at p < 0.05, by either test."""
    rng = np.random.default_rng(0)
    base = random_table(clips=60, frames=1)
    p_values = []
    for _ in range(100):
        noisy = [_shifted(base, rng.normal(size=len(base))) for _ in range(2)]
        found = compare.compare(*noisy, draws=100)
        p_values.append((found["metrics"]["auc"]["p_value"], found["delong"]["p_value"]))
    below = (np.array(p_values) < 0.05).mean(axis=0)
    assert (below < 0.1).all(), below
    assert np.corrcoef(np.transpose(p_values))[0, 1] > 0.95


def test_tables_of_other_clips_or_labels_are_refused_with_their_number(tmp_path, capsys):
    table = random_table()
    score_table.write(tmp_path / "all", table)
    some = table.rows(~np.isin(table.clip, ["c/real/0", "c/swap/1", "c/real/2"]))
    score_table.write(tmp_path / "some", some)
    files = [str(tmp_path / name / "scores.parquet") for name in ("all", "some")]
    assert cli.main(["compare", *files]) == 2
    assert "3 are in the first alone, 0 in the second alone" in capsys.readouterr().err
    table.label[:] = np.where(table.clip == "c/swap/1", 0, table.label)
    score_table.write(tmp_path / "wrong", table)
    shutil.move(tmp_path / "wrong" / "scores.parquet", files[1])
    assert cli.main(["compare", *files]) == 2
    assert "1 clips have other labels in the second table" in capsys.readouterr().err


def test_delong_is_that_of_the_compared_clips():
    table = random_table()
    other = _shifted(table, np.sin(np.arange(len(table))))
    one, two = (levels.samples(each)["video"] for each in (table, other))
    expected = delong.compare(one.label, one.score, two.score)
    assert compare.compare(table, other, draws=5)["delong"]["p_value"] == expected.p_value
