import pathlib

import pytest

from dfjax.corpora.dfdcp import read_dfdcp
from tests.corpora import trees

A, B = "method_A/100/100_A/200_100_A_001.mp4", "method_B/100/100_A/200_100_A_001.mp4"


def real(target: str, split: str = "train") -> dict:
    return {
        "label": "real",
        "set": split,
        "augmentations": [],
        "target_id": target,
        "swapped_id": None,
    }


def fake(target: str, swapped: str, split: str = "train") -> dict:
    return {**real(target, split), "label": "fake", "swapped_id": swapped}


def write(root: pathlib.Path, entries: dict[str, dict]) -> pathlib.Path:
    trees.write_labels(root, {"dataset.json": entries})
    return trees.write_tree(root, *entries)


@pytest.fixture
def corpus(tmp_path) -> pathlib.Path:
    """Two fakes of one file name, and a test set that shares the actor 200 with train."""
    entries = {
        "original_videos/100/100_A_001.mp4": real("100"),
        A: fake("100", "200"),
        B: fake("100", "200"),
        "original_videos/200/200_B_002.mp4": real("200", "test"),
        "method_A/200/200_B/300_200_B_009.mp4": fake("200", "300", "test"),
        "original_videos/400/400_A_001.mp4": real("400"),
        "original_videos/400/400_A_002.mp4": real("400"),
    }
    root = write(tmp_path / "dfdc_preview_set", entries)
    (root / "original_videos/400/400_A_002.mp4").unlink()
    trees.write_tree(root, "method_B/900/stray.mp4")
    # one method in the layout with videos/ second
    (root / "method_A").rename(root / "moved")
    (root / "method_A").mkdir()
    (root / "moved").rename(root / "method_A" / "videos")
    return tmp_path


def test_the_corpus_gives_exactly_these_clips_and_says_what_is_odd(corpus, caplog):
    one = ("video:dfdcp/100_A_001", "identity:dfdcp/100")
    two = ("video:dfdcp/200_B_002", "identity:dfdcp/200")
    swapped = (*one, "identity:dfdcp/200")
    other = ("video:dfdcp/200_B_009", "identity:dfdcp/200", "identity:dfdcp/300")
    original = "dfdcp/real/original_videos/100/100_A_001.mp4"
    moved = A.replace("method_A", "method_A/videos")
    far = "method_A/videos/200/200_B/300_200_B_009.mp4"
    assert trees.rows(read_dfdcp(corpus, shares=(1, 0, 0))) == [
        (f"dfdcp/method_A/{moved}", 1, "method_A", "train", swapped, original),
        (f"dfdcp/method_A/{far}", 1, "method_A", "test", other, ""),
        (f"dfdcp/method_B/{B}", 1, "method_B", "train", swapped, original),
        (original, 0, "real", "train", one, ""),
        ("dfdcp/real/original_videos/200/200_B_002.mp4", 0, "real", "test", two, ""),
        (
            "dfdcp/real/original_videos/400/400_A_001.mp4", 0, "real", "train",
            ("video:dfdcp/400_A_001", "identity:dfdcp/400"), "",
        ),
    ]  # fmt: skip
    assert caplog.messages == [
        "dfdcp: 1 videos of dataset.json are missing: original_videos/400/400_A_002",
        "dfdcp: 1 videos left out: not in dataset.json: method_B/900/stray",
        "dfdcp: train real: 2 of 855 clips",
        "dfdcp: train fake: 2 of 3,618 clips",
        "dfdcp: test real: 1 of 276 clips",
        "dfdcp: test fake: 1 of 501 clips",
        "dfdcp: 1 of 3 fakes were made from videos that are not here: only fakes show those: "
        f"dfdcp/method_A/{far}",
    ]


def test_strict_leaves_out_what_shares_an_actor_with_test(corpus):
    clips = read_dfdcp(corpus / "dfdc_preview_set", shares=(1, 0, 0), strict=True)
    assert [(clip.key.split("/")[-1], clip.split) for clip in clips] == [
        ("300_200_B_009.mp4", "test"),
        ("100_A_001.mp4", "train"),
        ("200_B_002.mp4", "test"),
        ("400_A_001.mp4", "train"),
    ]


def test_val_is_dealt_from_train_by_the_actor_in_the_video(tmp_path):
    entries = {}
    for actor in range(100, 120):  # a ring: every actor's face is put into the next one's video
        face, clip = 100 + (actor - 101) % 20, f"{actor}_A_001.mp4"
        entries[f"original_videos/{actor}/{clip}"] = real(f"{actor}")
        entries[f"method_A/{actor}/{actor}_A/{face}_{clip}"] = fake(f"{actor}", f"{face}")
    clips = read_dfdcp(write(tmp_path, entries), shares=(0.7, 0.1, 0.2))
    assert len({(clip.origin_ids[1], clip.split) for clip in clips}) == 20
    assert [clip.split for clip in clips].count("val") == 4  # .1 / (.7 + .1) of 40, whole
    assert all(clip.original for clip in clips if clip.label)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({A: real("100")}, "has the label real, but original_videos has the reals and method_A"),
        (
            {"original_videos/1/1_A_1.mp4": fake("1", "2")},
            "has the label fake, but original",
        ),
        ({A: {**fake("1", "2"), "label": 1}}, 'no "label" that is "real" or "fake"'),
        ({A: fake("1", "2", "val")}, 'no "set" that is "train" or "test"'),
        ({A: {**fake("1", "2"), "swapped_id": None}}, 'no "swapped_id", the id of an actor'),
        (
            {"videos/a.mp4": fake("1", "2")},
            "must start with one of original_videos, method_A, method_B",
        ),
        ({A: fake("1", "2"), A.replace("mp4", "mov"): fake("1", "2")}, "mov occurs twice"),
        ({"../a.mp4": fake("1", "2")}, "paths start at the folder of the corpus"),
        ({}, "has no clip of this corpus"),
    ],
)
def test_a_list_that_cannot_be_right_stops_the_import(tmp_path, entries, message):
    trees.write_labels(tmp_path, {"dataset.json": entries})
    with pytest.raises(ValueError, match=message):
        read_dfdcp(tmp_path)
