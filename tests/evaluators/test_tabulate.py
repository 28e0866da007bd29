"""Scores of a split become a table, with what its dataset says of the clips."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from dfjax import files
from dfjax.data import attributes, unusable
from dfjax.evaluators import score_table, tabulate, verdicts
from dfjax.evaluators.eval_target import EvalTarget
from dfjax.model_card import QualityLimits
from tests.evaluators.test_verdicts import LEFT, RIGHT, make_scores


@pytest.fixture
def target(prepared, tmp_path) -> EvalTarget:
    """A dataset of which two test clips and a training clip gave no crop."""
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    rows = [
        {"key": "c/swap/d.mp4", "label": 1, "split": "test", "code": "no_face"},
        {"key": "c/real/e.mp4", "label": 0, "split": "test", "code": "truncated"},
        {"key": "c/real/f.mp4", "label": 0, "split": "train", "code": "no_face"},
    ]
    (data / unusable.FILE).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    table = [("c/real/a.mp4", "phone", "x"), ("c/swap/d.mp4", "studio", "y")]
    files.replace_csv(data / attributes.FILE, ["clip", "camera", "score"], table)
    return EvalTarget.open(f"{data}:test")


def test_faces_come_first_and_clips_without_a_face_after_them(target):
    rows = [
        ("c/real/a.mp4", 3, 0, 0.2, RIGHT),
        ("c/swap/b.mp4", 0, 1, 0.9, LEFT),
        ("c/real/a.mp4", 0, 0, 0.4, LEFT),
    ]
    scores = make_scores(rows)
    scores = dataclasses.replace(
        scores,
        temperature=2.0,
        origin_ids=np.array(["identity:c/anna;video:c/1", "", "identity:c/anna"]),
        sharpness=np.array([50.0, 1.0, 50.0]),
    )
    table = tabulate.tabulate(scores, verdicts.files(scores, QualityLimits()), target)
    assert table.clip.tolist() == [row[0] for row in rows] + ["c/swap/d.mp4", "c/real/e.mp4"]
    assert table.corpus.tolist() == ["c"] * 5
    assert table.method.tolist() == ["real", "swap", "real", "swap", "real"]
    assert table.label.tolist() == [0, 1, 0, 1, 0]
    assert table.frame.tolist() == [3, 0, 0, score_table.NO_FACE, score_table.NO_FACE]
    assert table.track.tolist() == [1, 0, 0, -1, -1]  # two people, far apart
    np.testing.assert_allclose(table.time, [3 / 25, 0, 0, np.nan, np.nan])
    np.testing.assert_allclose(table.logit[:3], np.log([0.2 / 0.8, 0.9 / 0.1, 0.4 / 0.6]))
    np.testing.assert_allclose(table.score[:3], 1 / (1 + np.exp(-table.logit[:3] / 2)))
    assert np.isnan(table.score[3:]).all()
    extra = table.extra
    assert extra["quality"].tolist() == ["", "too_blurred", "", "no_face", "truncated"]
    assert extra["identity"].tolist() == ["identity:c/anna", "", "identity:c/anna", "", ""]
    np.testing.assert_allclose(extra["face_size"], [120, 100, 100, np.nan, np.nan])
    # Nothing that a manifest says takes the place of what was measured.
    assert extra["camera"].tolist() == ["phone", "", "phone", "studio", ""]
    assert "score" not in extra


def test_the_written_table_is_the_one_that_is_read(target, tmp_path):
    scores = make_scores([("c/real/a.mp4", 3, 0, 0.2, RIGHT), ("c/swap/b.mp4", 0, 1, 0.9, LEFT)])
    table = tabulate.tabulate(scores, verdicts.files(scores, QualityLimits()), target)
    score_table.write(tmp_path, table)
    for file in (score_table.PARQUET_FILE, score_table.CSV_FILE):
        found = score_table.read(tmp_path / file)
        for name, column in table.columns.items():
            np.testing.assert_array_equal(found.columns[name], column, err_msg=name)
