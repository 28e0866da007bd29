import pathlib

import pytest

from dfjax.corpora.dfdc import read_dfdc
from tests.corpora import trees

PART = "train/dfdc_train_part_{}"


def write_part(root: pathlib.Path, folder: str, videos: dict[str, str | None]) -> None:
    """Writes a part of `videos` by name, a fake with its original."""
    entries = {
        f"{name}.mp4": {
            "label": "FAKE" if original else "REAL",
            "split": "train",
            "original": original and f"{original}.mp4",
        }
        for name, original in videos.items()
    }
    trees.write_labels(root, {f"{folder}/metadata.json": entries})
    trees.write_tree(root / folder, *entries)


@pytest.fixture
def corpus(tmp_path) -> pathlib.Path:
    """Two parts and both held-out sets, with known exceptions to the layout."""
    write_part(tmp_path, PART.format(0), {"aaa": None, "bbb": "aaa", "ccc": "elsewhere"})
    write_part(tmp_path, PART.format("07"), {"ddd": "eee", "eee": None, "lost": None})
    (tmp_path / PART.format("07") / "lost.mp4").unlink()
    trees.write_tree(tmp_path, f"{PART.format(0)}/stray.mp4", f"{PART.format(0)}/notes.txt")
    no_original = {"fff.mp4": {"label": "REAL", "split": "train"}}
    trees.write_labels(tmp_path, {f"{PART.format(1)}/metadata.json": no_original})
    trees.write_tree(tmp_path, f"{PART.format(1)}/fff/000.png", f"{PART.format(1)}/fff/001.png")
    trees.write_labels(tmp_path, {"validation/labels.csv": "filename,label\nvvv.mp4,1\n"})
    trees.write_tree(tmp_path, "validation/vvv.mp4", "test_videos/unlabelled.mp4")
    labels = {"x.mp4": {"is_fake": 0, "augmentations": {}}, "y.mp4": {"is_fake": 1}}
    table = "filename,label\ny.mp4,1\nx.mp4,0\n"
    trees.write_labels(tmp_path, {"test/metadata.json": labels, "test/labels.csv": table})
    trees.write_tree(tmp_path, "test/videos/x.mp4", "test/videos/y.mp4")
    return tmp_path


def test_the_corpus_gives_exactly_these_clips_and_says_what_is_odd(corpus, caplog):
    part, other = PART.format(0), PART.format("07")
    aaa, eee = f"dfdc/real/{part}/aaa.mp4", f"dfdc/real/{other}/eee.mp4"
    assert trees.rows(read_dfdc(corpus)) == [
        ("dfdc/fake/test/videos/y.mp4", 1, "fake", "test", ("video:dfdc/y",), ""),
        (f"dfdc/fake/{part}/bbb.mp4", 1, "fake", "train", ("video:dfdc/aaa",), aaa),
        (f"dfdc/fake/{part}/ccc.mp4", 1, "fake", "train", ("video:dfdc/elsewhere",), ""),
        (f"dfdc/fake/{other}/ddd.mp4", 1, "fake", "train", ("video:dfdc/eee",), eee),
        ("dfdc/fake/validation/vvv.mp4", 1, "fake", "val", ("video:dfdc/vvv",), ""),
        ("dfdc/real/test/videos/x.mp4", 0, "real", "test", ("video:dfdc/x",), ""),
        (aaa, 0, "real", "train", ("video:dfdc/aaa",), ""),
        (eee, 0, "real", "train", ("video:dfdc/eee",), ""),
    ]
    assert caplog.messages == [
        "dfdc: 47 of 50 parts are missing: dfdc_train_part_10, dfdc_train_part_11, "
        "dfdc_train_part_12, dfdc_train_part_13, dfdc_train_part_14, …",
        "dfdc: 1 folders are not read: test_videos",
        f"dfdc: 1 files in {corpus}/{part} are neither video nor picture: notes.txt",
        "dfdc: all clips are read as videos; not read: 1 as frames; 1 clips are there alone and "
        "are left out",
        "dfdc: 1 videos of dfdc_train_part_0 left out: no label: stray",
        "dfdc: 1 videos of dfdc_train_part_07 are missing: lost",
        "dfdc: 1 videos of dfdc_train_part_1 are missing: fff",
        "dfdc: val: 1 of 4,000 clips",
        "dfdc: test: 2 of 5,000 clips",
        "dfdc: 1 of 3 fakes were made from videos that are not here: only fakes show those: "
        f"dfdc/fake/{part}/ccc.mp4",
    ]


def test_parts_are_dealt_out_whole_where_no_set_is_held_out(tmp_path):
    for part in range(10):
        videos = {f"r{part}{video}": None for video in "abc"}
        fakes = {f"f{part}{video}": f"r{part}{video}" for video in "abc"}
        write_part(tmp_path, f"dfdc_train_part_{part}", videos | fakes)
    # a fake whose original is in another part ties the two parts
    write_part(tmp_path, "dfdc_train_part_10", {"f": "r0a", "g": "r9a"})
    for seed in range(5):
        clips = read_dfdc(tmp_path, seed=seed)
        split_of = {(clip.key.split("/")[2], clip.split) for clip in clips}
        assert len(split_of) == 11
        assert {split for _, split in split_of} == {"train", "val", "test"}
        split_of = dict(split_of)
        assert split_of["dfdc_train_part_0"] == split_of["dfdc_train_part_9"]
    # test is the owners' once it is there, and its share goes to train
    trees.write_labels(tmp_path, {"test/labels.csv": "filename,label\nx.mp4,0\n"})
    trees.write_tree(tmp_path, "test/x.mp4")
    splits = [clip.split for clip in read_dfdc(tmp_path, shares=(0.7, 0.2, 0.1))]
    assert (splits.count("test"), splits.count("val")) == (1, 12)


def test_the_sample_keeps_originals_and_their_fakes_together_and_gives_way_to_parts(tmp_path):
    videos = {f"r{video}": None for video in range(20)}
    fakes = {f"f{video}": f"r{video // 2}" for video in range(40)}
    write_part(tmp_path, "train_sample_videos", videos | fakes)
    clips = read_dfdc(tmp_path)
    assert {clip.split for clip in clips} == {"train", "val", "test"}
    assert len({(clip.origin_ids, clip.split) for clip in clips}) == 20
    write_part(tmp_path, "dfdc_train_part_3", {"aaa": None})
    assert [clip.key for clip in read_dfdc(tmp_path)] == ["dfdc/real/dfdc_train_part_3/aaa.mp4"]


def test_labels_may_lie_beside_the_folder_of_videos(tmp_path):
    trees.write_labels(tmp_path, {"labels.csv": "filename,label\nx.mp4,1\n"})
    trees.write_tree(tmp_path, "videos/x.mp4")
    assert trees.rows(read_dfdc(tmp_path)) == [
        ("dfdc/fake/videos/x.mp4", 1, "fake", "test", ("video:dfdc/x",), "")
    ]


def part_of(entries: dict) -> dict[str, object]:
    return {"dfdc_train_part_0/metadata.json": entries}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            part_of({"a.mp4": {"label": "REAL", "original": "b.mp4"}, "b.mp4": {"label": "FAKE"}}),
            "a.mp4 is REAL with the original 'b.mp4': a FAKE has one and a REAL has none",
        ),
        (
            part_of({"a.mp4": {"label": "FAKE", "original": None}}),
            "a.mp4 is FAKE with the original None",
        ),
        (part_of({"a.mp4": {"label": 1}}), 'no "label" that is "REAL"'),
        ({"dfdc_train_part_0/a.txt": ""}, "dfdc_train_part_0/metadata.json is missing"),
        (
            {**part_of({}), "train/dfdc_train_part_00/metadata.json": {}},
            "dfdc_train_part_0 and .*dfdc_train_part_00 both exist",
        ),
        (
            {
                "test/labels.csv": "filename,label\nx.mp4,0",
                "test/metadata.json": {"x.mp4": {"is_fake": 1}},
            },
            "labels.csv calls x real and metadata.json calls it fake .in both, 0 is real",
        ),
        (
            {"test/labels.csv": "filename,label\nx.mp4,2"},
            "line 2: label '2': use 0 or REAL, 1 or FAKE",
        ),
        ({"test/labels.csv": "filename,label\nx.mp4,0\nx.mp4,1"}, "line 3 names x.mp4 again"),
        ({"test/notes.txt": ""}, "test has neither labels.csv nor metadata.json"),
        ({"metadata.json": {"a.mp4": {"label": "REAL"}}}, 'no "is_fake", .* the folder above it'),
        ({"notes.txt": ""}, "has no clip of this corpus"),
    ],
)
def test_labels_that_cannot_be_right_stop_the_import(tmp_path, files, message):
    trees.write_labels(tmp_path, files)
    with pytest.raises(ValueError, match=message) as error:
        read_dfdc(tmp_path)
    assert "\n" not in str(error.value)
