"""Score tables, of dfjax and of other tools: what is read is what was written."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from dfjax import logistic
from dfjax.errors import UserError
from dfjax.evaluators import score_table
from dfjax.evaluators.score_table import ScoreTable


def _texts(*values: str) -> np.ndarray:
    return np.array(values, object)


@pytest.fixture
def table() -> ScoreTable:
    logit = np.array([-1.25, 0.1 + 0.2, np.nan])
    return ScoreTable(
        corpus=_texts("c", "c", "c"),
        clip=_texts("=c/real/007", "c/swap/ü,\n1", "c/swap/2"),
        method=_texts("real", "swap", "swap"),
        frame=np.array([3, 0, score_table.NO_FACE]),
        time=np.array([0.12, np.nan, np.nan]),
        face=np.array([0, 1, score_table.NO_FACE]),
        track=np.array([0, 2, score_table.NO_FACE]),
        label=np.array([0, 1, 1]),
        logit=logit,
        score=logistic.to_score(logit, 1.7),
        extra={"identity": _texts("007", "8", "8"), "sharpness": np.array([4.5, 1e-9, np.nan])},
    )


@pytest.mark.parametrize("file", [score_table.PARQUET_FILE, score_table.CSV_FILE])
def test_what_was_written_is_read_to_the_bit(table, file, tmp_path):
    score_table.write(tmp_path, table)
    found = score_table.read(tmp_path / file).columns
    assert list(found) == list(table.columns)
    for name, expected in table.columns.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert found[name].dtype == expected.dtype, name


def test_rows_without_a_face_are_kept_apart(table):
    assert table.faces.clip.tolist() == table.clip[:2].tolist()
    assert table.missing.clip.tolist() == ["c/swap/2"]
    assert table.faces.extra["identity"].tolist() == ["007", "8"]


def _read(tmp_path, text: str) -> ScoreTable:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    return score_table.read(path)


def test_a_file_of_another_tool_needs_clip_label_and_a_score(tmp_path):
    table = _read(
        tmp_path, "Score;gender;CLIP;label\n0.25;f;d/x/001;fake\n;m;7;real\n0.5;f;d/x/001;1\n"
    )
    assert table.clip.tolist() == ["d/x/001", "7", "d/x/001"]
    assert table.corpus.tolist() == ["d", "", "d"]
    assert table.method.tolist() == ["fake", "real", "fake"]
    assert table.label.tolist() == [1, 0, 1]
    assert table.frame.tolist() == [0, score_table.NO_FACE, 1]
    np.testing.assert_allclose(table.logit, [np.log(1 / 3), np.nan, 0], atol=1e-12)
    assert table.extra["gender"].tolist() == ["f", "m", "f"]


def test_logits_alone_give_scores(tmp_path):
    path = tmp_path / "scores.parquet"
    columns = {"logit": [2.0, -40.0], "label": [True, False], "clip": [1, 2]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    table = score_table.read(path)
    np.testing.assert_allclose(table.score, 1 / (1 + np.exp([-2.0, 40.0])), atol=1e-15)
    assert (table.clip.tolist(), table.label.tolist()) == (["1", "2"], [1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label,score\na,1,0.5\n", "it has no column clip: give the columns clip, label"),
        ("clip,label\na,1\n", "neither a column score nor a column logit"),
        ("clip,label,score,Label\na,1,0.5,1\n", "several columns label"),
        ("clip,label,score\n", "it has no rows"),
        ("clip,label,score\na,2,0.5\n", r"labels are 0 \(real\) or 1 \(fake\), and it has 2"),
        ("clip,label,score\na,1,1.5\n", r"1 scores are below 0 or above 1: give P\(fake\)"),
        ("clip,label,score\na,1,high\n", "its column score holds other than numbers"),
        ("clip,label,score,logit\na,1,0.5,\n", "1 rows have either no finite score or no finite"),
        ("clip,label,score\na,1,0.5\na,0,0.5\n", "clip 'a' has the labels 1 and 0: name clips by"),
        (
            "clip,label,score,method\n1/2,1,0.5,swap\n1/2,1,0.5,splice\n",
            "clip '1/2' has the methods swap and splice: name clips by whole keys",
        ),
        (
            "clip,label,score,frame\na,1,0.5,3\na,1,0.4,3\n",
            "1 rows are there twice, such as clip 'a'",
        ),
        ("clip,label,score\na,1\n", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(text, message, tmp_path):
    with pytest.raises(UserError, match=message):
        _read(tmp_path, text)
    with pytest.raises(UserError, match=r"no file of scores: give one that ends in \.parquet"):
        score_table.read(tmp_path)


def test_factorized_texts_are_those_of_numpy():
    values = np.random.default_rng(0).integers(0, 50, 500).astype(str).astype(object)
    unique, code = score_table.factorize(values)
    expected = np.unique(values, return_inverse=True)
    assert unique.tolist() == expected[0].tolist()
    assert code.tolist() == expected[1].tolist()
