"""Whatever writes report.json or robustness.json writes the pages as well."""

import csv

import numpy as np

from dfjax import cli
from dfjax.report import report
from dfjax.robustness import report as robustness_report
from tests.report import reports


def test_scores_become_a_page_and_tables(tmp_path):
    rng = np.random.default_rng(0)
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip", "label", "score"])
        table.writerows([f"c/{n % 2}/{n}", n % 2, rng.random()] for n in range(40))
    out = tmp_path / "out"
    assert cli.main(["report", str(tmp_path / "scores.csv"), "--out", str(out)]) == 0
    assert {*report.FILES, "report.json", "metrics.json"} <= {path.name for path in out.iterdir()}
    assert "scores came without a model card" in (out / "report.html").read_text()


def test_robustness_in_the_folder_of_an_evaluation_is_shown_there(tmp_path):
    measured = reports.make_robustness()
    for level in (each for kind in measured["types"] for each in kind["levels"]):
        level["without_face"] = 0
    robustness_report.write(tmp_path, measured)
    assert not (tmp_path / report.HTML).exists()
    report.write(reports.write(tmp_path))
    (tmp_path / report.HTML).unlink()
    robustness_report.write(tmp_path, measured)
    assert "AUC under distortions of data/synthetic:test" in (tmp_path / report.HTML).read_text()
