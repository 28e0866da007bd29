import unicodedata

import pytest

from dfjax.corpora.pathlist import read_pathlist
from tests.corpora import trees

FRAMES = [
    "datasets/FF/real/000/000.png",
    "datasets/FF/real/000/012.png",
    "datasets/FF/DF/000_003/000.png",
    "datasets/CDFv3/Celeb-real/id0_0007/3.png",
    "datasets/CDFv3/YouTube-real/00170/3.png",
    "datasets/CDFv3/Real3DPortrait/id0_id1_0007/3.png",
]


def source(*names: str) -> tuple[str, ...]:
    return tuple(f"video:pathlist/{name}" for name in names)


def test_lists_in_the_form_of_gend_give_exactly_these_clips(tmp_path, caplog):
    """Paths start two folders above the lists, and frames are not in order."""
    lists = tmp_path / "config" / "lists"
    trees.write_tree(tmp_path, *FRAMES, "datasets/FF/real/000/024.png")
    missing = ["datasets/CDFv3/YouTube-real/00170/9.png", "datasets/CDFv3/FSRT/gone/3.png"]
    windows = "datasets\\FF\\DF\\000_003\\000.png"
    trees.write_labels(
        lists,
        {
            "train.txt": f"{FRAMES[1]}\n{FRAMES[0]}\n\n",
            "val/DF.txt": f"{windows}\n",
            "test/all.txt": "\n".join(reversed(FRAMES[3:] + missing)),
        },
    )
    celeb = "CDFv3/Celeb-real/id0_0007"
    assert trees.rows(read_pathlist(lists)) == [
        (
            "pathlist/DF/FF/DF/000_003", 1, "DF", "val",
            source("FF/000", "FF/000_003"), "",
        ),
        (
            "pathlist/Real3DPortrait/CDFv3/Real3DPortrait/id0_id1_0007", 1, "Real3DPortrait",
            "test", source("CDFv3/id0_0007", "CDFv3/id0_id1_0007"), "",
        ),
        (f"pathlist/real/{celeb}", 0, "real", "test", source("CDFv3/id0_0007"), ""),
        (
            "pathlist/real/CDFv3/YouTube-real/00170", 0, "real", "test",
            source("CDFv3/00170"), "",
        ),
        ("pathlist/real/FF/real/000", 0, "real", "train", source("FF/000"), ""),
    ]  # fmt: skip
    assert caplog.messages == [
        "pathlist: 2 frames of the lists are missing: CDFv3/FSRT/gone/3.png, "
        "CDFv3/YouTube-real/00170/9.png",
        "pathlist: 1 videos left out: they have no frame: CDFv3/FSRT/gone",
        "pathlist: 1 videos have more frames than listed: all are read: FF/real/000",
        "pathlist: 3 sources are taken for real: CDFv3/Celeb-real, CDFv3/YouTube-real, FF/real",
        "pathlist: 2 sources are taken for fake: CDFv3/Real3DPortrait, FF/DF",
    ]


def test_videos_are_found_however_a_list_writes_their_accents(tmp_path):
    decomposed = unicodedata.normalize("NFD", "D/real/jos\u00e9")
    trees.write_tree(tmp_path, f"{decomposed}/0.png")
    for name, encoding in (("a.txt", "utf-16"), ("b.txt", "latin-1")):
        (tmp_path / name).write_bytes("D\\real\\jos\u00e9\\0.png\r\n".encode(encoding))
        (clip,) = read_pathlist(tmp_path / name)
        assert clip.path == str(tmp_path / decomposed)


def test_one_list_is_dealt_out_with_fakes_beside_the_reals_in_their_names(tmp_path):
    frames = []
    for number in range(0, 60, 2):
        a, b = f"{number:03}", f"{number + 1:03}"
        frames += [f"FF/real/{a}/0.png", f"FF/real/{b}/0.png"]
        for fake in (f"{a}_{b}", f"{b}_{a}"):
            frames += [f"FF/DF/{fake}/0.png", f"FF/NT/{fake}/0.png"]
    trees.write_tree(tmp_path, *frames)
    absolute = [f"{tmp_path}/{frame}" for frame in frames]
    for number, lines in enumerate((frames, absolute)):
        trees.write_labels(tmp_path, {f"all{number}.txt": "\n".join(lines)})
        clips = read_pathlist(tmp_path / f"all{number}.txt")
        splits = [clip.split for clip in clips]
        assert {split: splits.count(split) for split in ("train", "val", "test")} == {
            "train": 144, "val": 18, "test": 18,
        }  # fmt: skip
        split_of = {}
        for clip in clips:
            for one in clip.key.split("/")[-1].split("_"):
                assert split_of.setdefault(one, clip.split) == clip.split


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.md": ""}, "has no list: give a folder with train.txt, val.txt or test.txt"),
        ({"train.txt": "FF/real/000.mp4"}, "train.txt line 1: .* use dataset/source/video"),
        ({"train.txt": "real/000/0.png"}, r"use dataset/source/video/frame.png"),
        (
            {"train.txt": "FF/real/000/0.png", "test.txt": "\nFF/real/000/1.png"},
            "test.txt line 2: FF/real/000 is also in train as FF/real/000: list a video once",
        ),
        (
            {"train.txt": "a/FF/real/000/0.png\nb/FF/real/000/0.png"},
            "line 2: FF/real/000 is also in train as a/FF/real/000: list",
        ),
        ({"train.txt": "FF/real/nowhere/0.png"}, "none of the 1 videos listed in .* exists"),
    ],
)
def test_lists_that_cannot_be_right_stop_the_import(tmp_path, files, message):
    trees.write_labels(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        read_pathlist(tmp_path)
