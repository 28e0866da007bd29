import pytest

from dfjax.corpora.uadfv import read_uadfv
from tests.corpora import trees


def test_videos_give_exactly_these_clips(tmp_path, caplog):
    trees.write_tree(tmp_path / "real", "0000.mp4", "0001.MP4")
    trees.write_tree(tmp_path / "fake", "0000_fake.mp4", "0007_fake.mp4")
    # next to them: frames of the same videos, and landmarks
    trees.write_tree(tmp_path, "real/frames/0000/000.png", "real/landmarks/0000/000.npy")
    assert trees.rows(read_uadfv(tmp_path)) == [
        (
            "uadfv/fake/fake/0000_fake.mp4", 1, "fake", "test", ("video:uadfv/0000",),
            "uadfv/real/real/0000.mp4",
        ),
        ("uadfv/fake/fake/0007_fake.mp4", 1, "fake", "test", ("video:uadfv/0007",), ""),
        ("uadfv/real/real/0000.mp4", 0, "real", "test", ("video:uadfv/0000",), ""),
        ("uadfv/real/real/0001.MP4", 0, "real", "test", ("video:uadfv/0001",), ""),
    ]  # fmt: skip
    prefix = "uadfv: 1 of 2 fakes were made from videos that are not here: only fakes show those"
    assert caplog.messages == [
        f"uadfv: 1 files in {tmp_path}/real are neither video nor picture: landmarks/0000/000.npy",
        "uadfv: all clips are read as videos; not read: 1 as frames in frames/",
        "uadfv: real: 2 of 49 clips",
        "uadfv: fake: 2 of 49 clips",
        f"{prefix}: uadfv/fake/fake/0007_fake.mp4",
    ]


def test_frames_are_read_where_there_is_no_video(tmp_path):
    trees.write_tree(tmp_path, "real/frames/0000/000.png", "fake/frames/0000_fake/000.png")
    assert [(clip.key, clip.origin_ids, clip.original) for clip in read_uadfv(tmp_path)] == [
        (
            "uadfv/fake/fake/frames/0000_fake", ("video:uadfv/0000",),
            "uadfv/real/real/frames/0000",
        ),
        ("uadfv/real/real/frames/0000", ("video:uadfv/0000",), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["fake/0000.mp4", "real/0000_fake.mp4"], "real/0000_fake.mp4 is in the folder real"),
        (["fake/0000.mp4", "real/0000.mp4"], "fake/0000.mp4 is in the folder fake"),
        (["real/0000.mp4"], r"has no folder fake"),
        (["real/0000.txt", "fake/0000.txt"], "has no clip of this corpus"),
    ],
)
def test_a_tree_that_cannot_be_right_stops_the_import(tmp_path, paths, message):
    trees.write_tree(tmp_path, *paths)
    with pytest.raises(ValueError, match=message):
        read_uadfv(tmp_path)
