import collections

import numpy as np
import pytest

from dfjax.corpora import splits

SHARES = (0.8, 0.1, 0.1)


def assign(labels, ties, *, seed=0, shares=SHARES):
    names = [f"file{item:04d}" for item in range(len(labels))]
    return splits.assign_splits(names, labels, ties, seed=seed, shares=shares)


def test_files_without_ties_are_dealt_out_by_the_shares_in_each_class():
    labels = [0] * 70 + [1] * 30
    counts = collections.Counter(zip(labels, assign(labels, [[]] * 100), strict=True))
    assert counts == {
        (0, "train"): 56, (0, "val"): 7, (0, "test"): 7,
        (1, "train"): 24, (1, "val"): 3, (1, "test"): 3,
    }  # fmt: skip


def test_what_is_connected_through_others_stays_together():
    # 0-1 share a, 1-2 share b, 2-3 share c: a chain with no tie common to all.
    ties = [["a"], ["a", "b"], ["b", "c"], ["c"]] + [[]] * 40
    for seed in range(20):
        assert len(set(assign([0, 1, 0, 1] + [0, 1] * 20, ties, seed=seed)[:4])) == 1


def test_random_ties_never_straddle_and_shares_come_close():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600).tolist()
    ties = [[f"g{group}"] for group in rng.integers(0, 150, 600)]
    given = assign(labels, ties)
    by_tie = collections.defaultdict(set)
    for (tie,), split in zip(ties, given, strict=True):
        by_tie[tie].add(split)
    assert all(len(found) == 1 for found in by_tie.values())
    share = {split: given.count(split) / 600 for split in splits.SPLITS}
    assert share == pytest.approx({"train": 0.8, "val": 0.1, "test": 0.1}, abs=0.02)
    assert set(zip(labels, given, strict=True)) == {
        (label, split) for label in (0, 1) for split in splits.SPLITS
    }


def test_three_files_of_a_class_are_enough_for_every_split():
    given = assign([0, 0, 0, 1, 1, 1], [[]] * 6)
    assert sorted(given[:3]) == sorted(given[3:]) == ["test", "train", "val"]


def test_the_seed_decides_and_the_order_of_files_does_not():
    labels, ties = [0, 1] * 50, [[f"pair{item // 2}"] for item in range(100)]
    names = [f"file{item}" for item in range(100)]
    given = splits.assign_splits(names, labels, ties, seed=1, shares=SHARES)
    backwards = splits.assign_splits(names[::-1], labels[::-1], ties[::-1], seed=1, shares=SHARES)
    assert given == backwards[::-1]
    assert given != splits.assign_splits(names, labels, ties, seed=2, shares=SHARES)


def test_a_share_of_one_takes_all():
    assert set(assign([0] * 9, [[]] * 9, shares=(0, 0, 1))) == {"test"}


def test_shares_must_sum_to_one():
    with pytest.raises(ValueError, match="sum 1"):
        assign([0], [[]], shares=(0.8, 0.1, 0.2))


def test_check_names_the_tie_both_files_and_how_many_more():
    with pytest.raises(ValueError, match=r"g2 is in train \(b\) and in test \(c\).*; 1 more such"):
        splits.check_splits(
            ["a", "b", "c", "d", "e"],
            ["train", "train", "test", "val", "test"],
            [["g1"], ["g1", "g2"], ["g2"], ["g3"], ["g3"]],
        )
    splits.check_splits(["a", "b"], ["train", "train"], [["g"], ["g"]])
