import pytest

from dfjax.corpora.ffiw import read_ffiw
from tests.corpora import trees


def pair(release: str, path: str, split: str, name: str) -> tuple[tuple, tuple]:
    """The rows of a fake and of its original."""
    source = (f"video:ffiw/{split}/{name}",)
    real = f"ffiw/real/{release}/source/{path}"
    fake = (f"ffiw/fake/{release}/target/{path}", 1, "fake", split, source, real)
    return fake, (real, 0, "real", split, source, "")


def test_both_releases_give_exactly_these_clips(tmp_path, caplog):
    release, test = "FFIW10K-v1-release", "FFIW10K-v1-release-test"
    train, val = "train/videos/train_00000000.mp4", "val/val_00000000.mp4"
    other = "test/test_00000000.mp4"
    for tree in ("source", "target"):
        trees.write_tree(tmp_path / release / tree, train, val)
        trees.write_tree(tmp_path / test / tree, other)
    alone = f"{release}/target/val/val_00000009.mp4"
    trees.write_tree(tmp_path, alone, f"{release}/target_mask/val/val_00000000_mask.mp4")
    fakes, reals = zip(
        pair(test, other, "test", "test_00000000"),
        pair(release, train, "train", "train_00000000"),
        pair(release, val, "val", "val_00000000"),
        strict=True,
    )
    assert trees.rows(read_ffiw(tmp_path)) == [
        *fakes,
        (f"ffiw/fake/{alone}", 1, "fake", "val", ("video:ffiw/val/val_00000009",), ""),
        *reals,
    ]
    assert caplog.messages == [
        "ffiw: source/train: 1 of 8,000 clips",
        "ffiw: target/train: 1 of 8,000 clips",
        "ffiw: source/val: 1 of 250 clips",
        "ffiw: target/val: 2 of 250 clips",
        "ffiw: source/test: 1 of 1,738 clips",
        "ffiw: target/test: 1 of 1,738 clips",
        "ffiw: 1 videos of val are only in source or only in target: val_00000009",
        "ffiw: 1 of 4 fakes were made from videos that are not here: only fakes show those: "
        f"ffiw/fake/{alone}",
    ]


def test_the_root_may_be_the_release_itself(tmp_path):
    trees.write_tree(tmp_path, "source/val/val_00000000.mp4", "target/val/val_00000000.mp4")
    assert [(clip.key, clip.split) for clip in read_ffiw(tmp_path)] == [
        ("ffiw/fake/target/val/val_00000000.mp4", "val"),
        ("ffiw/real/source/val/val_00000000.mp4", "val"),
    ]


def test_a_tree_that_cannot_be_right_stops_the_import(tmp_path):
    with pytest.raises(ValueError, match="has no clip of this corpus"):
        read_ffiw(tmp_path)
    for release in ("FFIW10K-v1-release", "FFIW10K-v1-release-test"):
        trees.write_tree(tmp_path / release, "source/test/test_00000000.mp4")
    with pytest.raises(ValueError, match=r"release/source/test/.* and .*-test/source/.* both"):
        read_ffiw(tmp_path)
