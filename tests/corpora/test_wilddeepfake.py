import pytest

from dfjax.corpora.wilddeepfake import read_wilddeepfake
from tests.corpora import trees


def row(part: str, path: str, archive: str) -> tuple:
    label, split = part.split("_")
    key = f"wilddeepfake/{label}/deepfake_in_the_wild/{path}"
    return key, int(label == "fake"), label, split, (f"archive:wilddeepfake/{part}/{archive}",), ""


def test_unpacked_archives_give_exactly_these_clips(tmp_path, caplog):
    root = tmp_path / "deepfake_in_the_wild"
    trees.write_tree(
        root / "real train", "0.tar.gz", "notes.txt"
    )  # a space, as the README spells it
    trees.write_tree(root / "real train/0/real", "12/1.png", "12/2.png", "13/1.png")
    trees.write_tree(root, "fake_train/0/fake/12/1.png", "fake_test/3/fake/1/7.png")
    trees.write_tree(root, "real_test/5/2/7.png")
    assert trees.rows(read_wilddeepfake(tmp_path)) == [
        row("fake_test", "fake_test/3/fake/1", "3"),
        row("fake_train", "fake_train/0/fake/12", "0"),
        row("real_train", "real train/0/real/12", "0"),
        row("real_train", "real train/0/real/13", "0"),
        row("real_test", "real_test/5/2", "5"),
    ]
    assert caplog.messages == [
        f"wilddeepfake: 1 files in {root}/real train are neither video nor picture: notes.txt",
        "wilddeepfake: real_train: 2 of 3,409 clips",
        "wilddeepfake: real_test: 1 of 396 clips",
        "wilddeepfake: fake_train: 1 of 3,099 clips",
        "wilddeepfake: fake_test: 1 of 410 clips",
    ]


def test_val_is_dealt_from_train_and_divides_no_archive(tmp_path):
    for label in ("real", "fake"):
        for archive in range(20):
            for sequence in range(3):
                trees.write_tree(tmp_path, f"{label}_train/{archive}/{label}/{sequence}/0.png")
        trees.write_tree(tmp_path, f"{label}_test/0/{label}/0/0.png")
    for seed in range(3):
        clips = read_wilddeepfake(tmp_path, seed=seed, shares=(0.7, 0.1, 0.2))
        assert len({(clip.origin_ids, clip.split) for clip in clips}) == 42
        splits = [clip.split for clip in clips]
        assert (splits.count("test"), splits.count("val")) == (2, 12)  # whole archives


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ["real_train/0/real/1/0.png", "real_train/1.tar.gz", "real_train/10.tgz"],
            r"packed archives \(1.tar.gz, 10.tgz\): unpack each there, so that 0.tar.gz becomes",
        ),
        (["real_train/0/fake/1/0.png"], "folders real_train and fake, which contradict each other"),
        (["real_train/0.txt"], "has no clip of this corpus"),
    ],
)
def test_a_tree_that_cannot_be_right_stops_the_import(tmp_path, paths, message):
    trees.write_tree(tmp_path, *paths)
    with pytest.raises(ValueError, match=message):
        read_wilddeepfake(tmp_path)
