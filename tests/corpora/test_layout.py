import dataclasses
import logging

import pytest

from dfjax.corpora import label_file, layout, splits
from dfjax.corpora.clip import Clip
from tests.corpora import trees


def clip(name, split, *origin_ids, label=1, method="swap"):
    return Clip(f"c/{name}", name, label, method, split, origin_ids)


@pytest.mark.parametrize("there", ["YouTube-real", "Youtube-real", "youtube_real", "YouTube real"])
def test_a_folder_is_found_by_any_of_its_spellings(tmp_path, there):
    (tmp_path / "x" / there / "videos").mkdir(parents=True)
    assert layout.find_folder(tmp_path, "x/absent", "x/YouTube-real/videos") == (
        tmp_path / "x" / there / "videos"
    )
    assert layout.find_folder(tmp_path, "x/absent") is None
    with pytest.raises(ValueError, match=r"has no folder x/absent or y \(it holds x\)"):
        layout.require_folder(tmp_path, "x/absent", "y")


def test_the_exact_spelling_goes_first_and_two_others_are_one_too_many(tmp_path):
    (tmp_path / "celeb_real").mkdir()
    (tmp_path / "CELEB-real").mkdir()
    with pytest.raises(ValueError, match=r"CELEB-real and .*celeb_real both exist: keep one"):
        layout.find_folder(tmp_path, "Celeb-real")
    (tmp_path / "Celeb-real").mkdir()
    assert layout.find_folder(tmp_path, "Celeb-real") == tmp_path / "Celeb-real"


def test_clips_are_videos_and_folders_of_frames_and_the_rest_is_reported(tmp_path, caplog):
    trees.write_tree(
        tmp_path, "b.MP4", "a/x.avi", "f/2.png", "f/10.jpg", "a/notes.txt", "meta.json", ".h.mp4"
    )
    (tmp_path / "e").mkdir()
    assert layout.list_clips(tmp_path, corpus="c", known=("meta.json",)) == {
        "a/x": f"{tmp_path}/a/x.avi",
        "b": f"{tmp_path}/b.MP4",
        "f": f"{tmp_path}/f",
    }
    assert caplog.messages == [
        f"c: 1 files in {tmp_path} are neither video nor picture: a/notes.txt",
        f"c: 1 folders in {tmp_path} are empty: e",
    ]
    trees.write_tree(tmp_path, "b.avi")
    with pytest.raises(ValueError, match=r"b.MP4 and .*b.avi both exist|b.avi and .*b.MP4"):
        layout.list_clips(tmp_path, corpus="c")


def test_label_files_that_cannot_be_read_say_so(tmp_path):
    file = tmp_path / "labels"
    for text, message in (
        ('{"a": 1, "a": 2}', "has the key 'a' twice"),
        ("[1]", "holds a list, not a dict"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=message) as error:
            label_file.read_json(file)
        assert "\n" not in str(error.value)


def test_paths_of_label_files_stay_in_the_corpus():
    assert label_file.relative_path(".\\a\\b.mp4", "x").as_posix() == "a/b.mp4"
    for path in ("", "/a", "a/../../b", "a\0b"):
        with pytest.raises(ValueError, match=r"x: path .*paths start at the folder"):
            label_file.relative_path(path, "x")


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (["a", "b"], 2, None),
        (["a", "b"], ["b", "a"], None),
        (["a"], 1200, "c: part: 1 of 1,200 clips"),
        ([], ["a", "b"], "c: part: 0 of 2 clips"),
        (["a", "z"], ["a", "b"], "c: part: 2 of 2 clips; missing: b; not published: z"),
        (["a"], list("abcdefgh"), "c: part: 1 of 8 clips; missing: b, c, d, e, f, …"),
    ],
)
def test_a_count_that_deviates_is_one_line(caplog, found, expected, message):
    with caplog.at_level(logging.WARNING, "dfjax.corpora"):
        layout.check_counts("c", "part", found, expected)
    assert caplog.messages == ([message] if message else [])


def test_clips_without_a_corpus_a_key_of_their_own_or_the_right_label_are_refused(tmp_path):
    a, b = clip("a", "test", "s"), clip("b", "test", "s")
    assert layout.check_clips(tmp_path, [b, a]) == [a, b]
    for clips, message in (
        ([], "has no clip of this corpus"),
        ([a, b, a], "are both c/a"),
        ([clip("a", "test", label=0)], "label 0 but method swap"),
        ([clip("a", "test", method="real")], "label 1 but method real"),
    ):
        with pytest.raises(ValueError, match=message):
            layout.check_clips(tmp_path, clips)


def test_a_fake_has_the_real_of_its_first_source_as_original(caplog):
    real = clip("r", "test", "v1", "p1", label=0, method="real")
    fakes = [clip("f", "test", "v1", "p2"), clip("g", "test", "p1")]
    made = layout.link_originals("c", [real, *fakes])
    assert [(found.original, found.orphan) for found in made] == [
        ("", False), ("c/r", False), ("", True),
    ]  # fmt: skip
    assert caplog.messages == [
        "c: 1 of 2 fakes were made from videos that are not here: only fakes show those: c/g"
    ]


def test_a_fake_picture_has_the_real_of_its_frame_or_else_the_nearest_as_original():
    def picture(name, frame, **fields):
        return dataclasses.replace(clip(name, "test", "v1", **fields), frame=frame)

    reals = [picture(f"r{frame}", frame, label=0, method="real") for frame in (10, 40, 20)]
    fakes = [picture(f"f{frame}", frame) for frame in (20, 40, 33)]
    made = layout.link_originals("c", [*reals, *fakes])[3:]
    assert [(found.original, found.same_frame, found.frame) for found in made] == [
        ("c/r20", True, 20), ("c/r40", True, 40), ("c/r40", False, 33),
    ]  # fmt: skip


def test_val_comes_from_train_alone_and_keeps_ties_together():
    train = [clip(f"{i}{k}", "train", f"video:{i}", "person:1") for i in range(40) for k in "ab"]
    test = [clip(f"t{i}", "test", f"video:{i}") for i in range(5)]

    def videos(given):
        return given.origin_ids[:1]

    made = splits.hold_out_val(test + train, seed=1, shares=(0.6, 0.2, 0.2), ties=videos)
    split = {found.key: found.split for found in made}
    assert [found.key for found in made] == [given.key for given in test + train]
    assert [split[given.key] for given in test] == ["test"] * 5
    assert [split[given.key] for given in train].count("val") == 20
    assert all(split[f"c/{i}a"] == split[f"c/{i}b"] for i in range(40))
    assert made != splits.hold_out_val(test + train, seed=2, shares=(0.6, 0.2, 0.2), ties=videos)
    with pytest.raises(ValueError, match=r"splits \(0, 0, 1\)"):
        splits.hold_out_val(train, seed=1, shares=(0, 0, 1))


def test_of_what_leaks_test_stays_before_val_before_train(caplog):
    clips = [
        clip("a", "test", "1"),
        clip("b", "val", "1", "2"),
        clip("c", "train", "2"),
        clip("d", "val", "3"),
        clip("e", "train", "3", "4"),
        clip("f", "train", "4"),
    ]
    left = splits.drop_leaks("c", clips)
    assert [found.path for found in left] == ["a", "c", "d", "f"]
    assert caplog.messages == [
        "c: 2 clips left out: they share an origin with test or val: c/b, c/e"
    ]
    left = splits.drop_leaks("c", clips, keep=("test",))
    assert [found.path for found in left] == ["a", "c", "d", "e", "f"]
