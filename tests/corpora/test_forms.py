"""Corpora as people have them: whole as videos or as frames, in part as both, or a folder lower."""

import os
import pathlib

import pytest

from dfjax import corpora, registry
from dfjax.corpora import forms, layout, splits
from tests.corpora import trees

IDS = ("001", "002", "003", "004", "005", "006")
PAIRS = tuple(f"{a}_{b}" for a, b in zip(IDS[::2], IDS[1::2], strict=True))
SPLITS = {f"{s}.json": [pair.split("_")] for s, pair in zip(splits.SPLITS, PAIRS, strict=True)}
FFPP = {"original_sequences/youtube/c23": IDS}, {"manipulated_sequences/Deepfakes/c23": PAIRS}
ACTORS = [f"{number:02}" for number in range(1, 5)]
LISTS = {f"lists/splits/{split}.txt": "" for split in ("val", "test")}
CELEBDF = (
    {"Celeb-real": [f"id{n}_0000" for n in range(3)], "YouTube-real": ["00170"]},
    {"Celeb-synthesis": [f"id{n}_id9_0000" for n in range(3)]},
)
TEST_LIST = {"List_of_testing_videos.txt": "1 YouTube-real/00170.mp4\n"}
DFDCP_REALS = [f"1/1_A_{n:03}" for n in range(3)]
DFDCP_FAKES = [f"1/1_A/2_1_A_{n:03}" for n in range(3)]
PART = {
    **{f"r{n}.mp4": {"label": "REAL"} for n in range(3)},
    **{f"f{n}.mp4": {"label": "FAKE", "original": f"r{n}.mp4"} for n in range(3)},
}

# By corpus: the folders of reals and of fakes, each with the names of its clips; the label files.
CORPORA: dict[str, tuple[dict, dict, dict]] = {
    "ffpp": (*FFPP, SPLITS),
    "dfd": (
        {"original_sequences/actors/c23": [f"{a}__exit" for a in ACTORS]},
        {"manipulated_sequences/DeepFakeDetection/c23": [f"{a}_09__exit__AB" for a in ACTORS]},
        {},
    ),
    "deeperforensics": (
        FFPP[0],
        {"manipulated_videos/end_to_end": [f"{name}_M004" for name in IDS]},
        {**LISTS, "lists/splits/train.txt": "\n".join(f"{name}_M004.mp4" for name in IDS)},
    ),
    "celebdf_v1": (*CELEBDF, TEST_LIST),
    "celebdf_v2": (*CELEBDF, TEST_LIST),
    "celebdf_pp": (
        CELEBDF[0],
        {"Celeb-synthesis/FaceSwap/SimSwap": CELEBDF[1]["Celeb-synthesis"]},
        TEST_LIST,
    ),
    "dfdc": (
        {"dfdc_train_part_0": ["r0", "r1", "r2"]},
        {"dfdc_train_part_0": ["f0", "f1", "f2"]},
        {"dfdc_train_part_0/metadata.json": PART},
    ),
    "dfdcp": (
        {"original_videos": DFDCP_REALS},
        {"method_A": DFDCP_FAKES},
        {
            "dataset.json": {
                f"{folder}/{name}.mp4": {
                    "label": label, "set": "train", "target_id": "1", "swapped_id": "2",
                }
                for folder, label, names in (
                    ("original_videos", "real", DFDCP_REALS), ("method_A", "fake", DFDCP_FAKES),
                )
                for name in names
            }
        },
    ),
    "ffiw": (
        {"source/train": ["train_0", "train_1"], "source/val": ["val_0"]},
        {"target/train": ["train_0", "train_1"], "target/val": ["val_0"]},
        {},
    ),
    "uadfv": (
        {"real": ["0000", "0001", "0002"]},
        {"fake": ["0000_fake", "0001_fake", "0002_fake"]},
        {},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _registered():
    corpora.register_all()


def files(folders, kind, form="frames"):
    suffix = ".mp4" if form == "videos" else "/000.png"
    return [
        os.path.join(folder, kind, f"{name}{suffix}")
        for folder, names in folders.items()
        for name in names
    ]


def read(corpus, root):
    options = {"ffpp_root": root} if corpus == "deeperforensics" else {}
    return registry.build("corpus", corpus, root=root, **options)


def found(clips):
    """The forms of the clips, and how many there are by label."""
    labels = [clip.label for clip in clips]
    is_folder = {os.path.isdir(clip.path) for clip in clips}
    return is_folder, labels.count(0), labels.count(1)


def expected(corpus, is_folder):
    reals, fakes, _ = CORPORA[corpus]
    return {is_folder}, sum(map(len, reals.values())), sum(map(len, fakes.values()))


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("", "videos"), ("videos", "videos"), ("video", "videos"), ("Videos", "videos"),
        *((kind, "frames") for kind in ("", "frames", "images", "face_images", "Face Images")),
    ],
)  # fmt: skip
def test_every_subfolder_for_clips_is_read_by_every_corpus(tmp_path, corpus, kind, form):
    reals, fakes, labels = CORPORA[corpus]
    trees.write_tree(tmp_path, *files(reals, kind, form), *files(fakes, kind, form))
    trees.write_labels(tmp_path, labels)
    assert found(read(corpus, tmp_path)) == expected(corpus, form == "frames")


@pytest.mark.parametrize("corpus", CORPORA)
def test_an_emptied_folder_of_videos_hides_no_frames(tmp_path, corpus, caplog):
    reals, fakes, labels = CORPORA[corpus]
    trees.write_tree(tmp_path, *files(reals, "frames"), *files(fakes, "frames"))
    trees.write_labels(tmp_path, labels)
    for folder in (*reals, *fakes):
        (tmp_path / folder / "videos").mkdir(exist_ok=True)
    assert found(read(corpus, tmp_path)) == expected(corpus, True)
    assert not [message for message in caplog.messages if "not read" in message]


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("kind", ["", "videos"])
def test_the_frames_of_one_video_hide_no_videos_and_are_counted(tmp_path, corpus, kind, caplog):
    reals, fakes, labels = CORPORA[corpus]
    trees.write_tree(tmp_path, *files(reals, kind, "videos"), *files(fakes, kind, "videos"))
    trees.write_tree(tmp_path, files(reals, "frames")[0])
    trees.write_labels(tmp_path, labels)
    assert found(read(corpus, tmp_path)) == expected(corpus, False)
    line = f"{corpus}: all clips are read as videos; not read: 1 as frames in frames/"
    assert caplog.messages.count(line) == 1


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_form_of_most_clips_is_that_of_both_classes(tmp_path, corpus, caplog):
    """All are frames, the reals and one fake are also videos."""
    reals, fakes, labels = CORPORA[corpus]
    trees.write_tree(tmp_path, *files(reals, "frames"), *files(fakes, "frames"))
    trees.write_tree(tmp_path, *files(reals, "videos", "videos"))
    trees.write_tree(tmp_path, files(fakes, "videos", "videos")[0])
    trees.write_labels(tmp_path, labels)
    wanted = expected(corpus, True)
    assert found(read(corpus, tmp_path)) == wanted
    line = f"{corpus}: all clips are read as frames; not read: {wanted[1] + 1} as videos in videos/"
    assert caplog.messages.count(line) == 1


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("stray", [False, True])
@pytest.mark.parametrize("real_form", ["videos", "frames"])
def test_classes_in_different_forms_are_refused(tmp_path, corpus, real_form, stray):
    reals, fakes, labels = CORPORA[corpus]
    fake_form = "frames" if real_form == "videos" else "videos"
    trees.write_tree(tmp_path, *files(reals, real_form, real_form))
    trees.write_tree(tmp_path, *files(fakes, fake_form, fake_form))
    trees.write_tree(tmp_path, *files(reals, fake_form, fake_form)[: int(stray)])
    trees.write_labels(tmp_path, labels)
    with pytest.raises(ValueError, match="the classes differ in their form") as error:
        read(corpus, tmp_path)
    count = expected(corpus, True)[1]
    numbers = {real_form: count, fake_form: int(stray)}
    assert f"reals: {numbers['videos']} videos, {numbers['frames']} folders" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("above", ["copy", "data/copy"])
def test_a_root_too_high_gives_the_same_clips_and_names_the_folder(tmp_path, corpus, above, caplog):
    reals, fakes, labels = CORPORA[corpus]
    root = tmp_path / above
    trees.write_tree(root, *files(reals, "videos", "videos"), *files(fakes, "videos", "videos"))
    trees.write_labels(root, labels)
    wanted = read(corpus, root)
    caplog.clear()
    assert read(corpus, tmp_path) == wanted
    assert f"{corpus}: read from {root}, which has the corpus" in caplog.messages
    trees.write_tree(tmp_path / "other", *files(reals, "videos", "videos"))
    if above == "copy":
        with pytest.raises(ValueError, match=r"in several folders, .*copy, .*other: give one"):
            read(corpus, tmp_path)


@pytest.mark.parametrize("corpus", [corpus for corpus in CORPORA if corpus != "dfdc"])
def test_a_root_too_low_names_the_folder_above(tmp_path, corpus):
    reals, fakes, labels = CORPORA[corpus]
    trees.write_tree(tmp_path, *files(reals, "videos", "videos"), *files(fakes, "videos", "videos"))
    trees.write_labels(tmp_path, labels)
    low = tmp_path / pathlib.PurePath(next(iter(fakes))).parts[0]
    with pytest.raises(ValueError, match=f"give {tmp_path}, which has them all"):
        read(corpus, low)


def test_crops_beside_whole_frames_are_said(tmp_path, caplog):
    reals, fakes, labels = CORPORA["celebdf_v2"]
    trees.write_tree(tmp_path, *files(reals, "images"), *files(fakes, "faces"))
    trees.write_labels(tmp_path, labels)
    assert found(read("celebdf_v2", tmp_path)) == expected("celebdf_v2", True)
    assert (
        "celebdf_v2: reals are in images/ but fakes in faces/: make sure that both were cut in the "
        "same way"
    ) in caplog.messages


def test_of_two_folders_of_frames_both_classes_have_the_one_of_most_clips(tmp_path):
    reals, fakes, labels = CORPORA["celebdf_v2"]
    trees.write_tree(tmp_path, *files(reals, "images"), *files(reals, "frames"))
    trees.write_tree(tmp_path, *files(fakes, "frames"))
    trees.write_labels(tmp_path, labels)
    assert {pathlib.Path(clip.path).parent.name for clip in read("celebdf_v2", tmp_path)} == {
        "frames"
    }


def test_masks_and_what_no_name_fits_are_no_clips(tmp_path):
    trees.write_tree(tmp_path, "frames/a/0.png", "masks/a/0.png", "b/0.png")
    part = forms.list_part(tmp_path, corpus="c")
    assert part == {
        forms.Copy("frames"): {"b": f"{tmp_path}/b"},
        forms.Copy("frames", "frames"): {"a": f"{tmp_path}/frames/a"},
    }
    kept = forms.keep_named("c", part, "a", "unknown")
    assert [list(paths) for paths in kept.values()] == [[], ["a"]]


def test_a_folder_in_a_folder_of_its_name_is_that_folder(tmp_path):
    trees.write_tree(tmp_path, "x/x/a.mp4")
    assert forms.list_part(tmp_path / "x", corpus="c") == {
        forms.Copy("videos"): {"a": f"{tmp_path}/x/x/a.mp4"}
    }


def test_two_spellings_of_one_subfolder_are_one_too_many(tmp_path):
    trees.write_tree(tmp_path, "frames/a/0.png", "Frames/a/0.png")
    with pytest.raises(ValueError, match=r"Frames and .*frames both exist: keep one"):
        forms.list_part(tmp_path, corpus="c")
    assert layout.subfolders(tmp_path / "frames") == [tmp_path / "frames/a"]
