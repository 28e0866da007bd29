"""Clips are grouped by what their rows say, and never by what they do not say."""

import numpy as np
import pytest

from dfjax import logistic
from dfjax.evaluators import conditions
from dfjax.evaluators.levels import Thresholds
from dfjax.evaluators.score_table import ScoreTable


def make_table(num_clips: int = 180, **extra) -> ScoreTable:
    """Clips of two frames with one face, real and fake in turn; `extra` are columns by clip."""
    clip = np.repeat(np.arange(num_clips), 2)
    label = clip % 2
    score = np.random.default_rng(0).uniform(0.05, 0.6, len(clip)) + 0.35 * label
    names = np.array([f"c/{'swap' if n % 2 else 'real'}/{n:03d}" for n in range(num_clips)], object)
    return ScoreTable(
        corpus=np.full(len(clip), "c", object),
        clip=names[clip],
        method=np.array(["real", "swap"], object)[label],
        frame=np.tile([0, 7], num_clips),
        time=np.full(len(clip), np.nan),
        face=np.zeros(len(clip), int),
        track=np.zeros(len(clip), int),
        label=label,
        logit=logistic.to_logit(score),
        score=score,
        extra={name: np.asarray(values)[clip] for name, values in extra.items()},
    )


def texts(*values) -> np.ndarray:
    return np.array(values, object)


def measure(table, *columns) -> dict:
    found = conditions.measure(table, columns, Thresholds(), np.random.default_rng(0))
    return {row["column"]: row for row in found["columns"]}


def test_rates_of_a_group_are_those_of_the_scores_of_its_clips():
    gender = np.tile(texts("f", "f", "m", "m", "m", ""), 30)
    found = measure(table := make_table(gender=gender), "gender")["gender"]
    mean = table.score.reshape(-1, 2).mean(1)  # the clip's score is the mean over its frames
    label = table.label[::2]
    for row in found["groups"]:
        reals = mean[(gender == row["group"]) & (label == 0)]
        assert row["fpr"]["value"] == pytest.approx((reals >= 0.5).mean())
    assert [(row["group"], row["real"], row["fake"]) for row in found["groups"]] == [
        ("f", 30, 30),
        ("m", 60, 30),
    ]
    assert found["unlabelled"] == {"real": 0, "fake": 30}
    assert found["about"] is None


def test_intersections_hold_the_clips_that_are_alike_in_all_columns():
    gender, skin = np.tile(texts("f", "m"), 90), np.repeat(texts("dark", "light", ""), 60)
    found = measure(make_table(gender=np.roll(gender, 1), skin=skin), "gender,skin")["gender,skin"]
    # In this table, gender and label are one: half of the classes is missing in each group.
    assert [(row["group"], row["real"], row["fake"]) for row in found["groups"]] == [
        ("f, dark", 0, 30),
        ("f, light", 0, 30),
        ("m, dark", 30, 0),
        ("m, light", 30, 0),
    ]
    assert found["unlabelled"] == {"real": 30, "fake": 30}
    assert found["figures"] is None


def test_what_is_measured_of_faces_is_cut_into_thirds_of_the_clips():
    size = np.random.default_rng(1).permutation(np.arange(180.0))
    table = make_table(face_size=size)
    table.extra["face_size"][::2] += 2  # two frames of a clip differ, and their mean counts
    table.extra["face_size"][1::2] -= 2
    found = measure(table)["face_size"]
    names = [row["group"] for row in found["groups"]]
    assert names == ["low (to 59.7)", "middle (59.7 to 119)", "high (above 119)"]
    assert [row["real"] + row["fake"] for row in found["groups"]] == [60, 60, 60]
    assert found["about"] == conditions.CONDITIONS["face_size"]


def test_few_numbers_are_groups_and_unknown_ones_are_none():
    quality = np.tile([23.0, 40.0, np.nan], 60)
    as_numbers = measure(make_table(crf=quality), "crf")["crf"]
    assert [row["group"] for row in as_numbers["groups"]] == ["23", "40"]
    assert as_numbers["unlabelled"] == {"real": 30, "fake": 30}
    # The same if a manifest gives them as texts.
    table = make_table(crf=np.tile(texts("23", "40", ""), 60))
    assert measure(table, "crf")["crf"] == as_numbers


def test_a_column_that_says_nothing_has_no_labels():
    found = measure(make_table(age=texts(*[""] * 180)), "age", "gender", "age,gender")
    for column in ("age", "gender", "age,gender", "sharpness"):
        assert found[column]["note"] == "no labels"
        assert "groups" not in found[column]


def test_a_column_that_tells_nearly_every_clip_from_others_has_no_groups():
    found = measure(make_table(source=texts(*(f"s{n // 3}" for n in range(180)))), "source")
    assert found["source"]["note"] == "60 different values: over 50 are no groups"


def test_the_order_of_the_rows_does_not_matter():
    table = make_table(gender=np.tile(texts("f", "m", ""), 60), sharpness=np.arange(180.0))
    mixed = table.rows(np.random.default_rng(2).permutation(len(table)))
    assert measure(mixed, "gender") == measure(table, "gender")
