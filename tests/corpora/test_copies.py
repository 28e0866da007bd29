"""Layouts in which corpora are passed on, other than their owners'."""

import json

import pytest

from dfjax.corpora import celebdf, deepfakebench, df40, dfd, dfdc, dfdcp, ffpp
from tests.corpora import trees

PAIRS = ("000_001", "002_003", "004_005")
IDS = [name for pair in PAIRS for name in pair.split("_")]


def write_ffpp(root, real, *fakes, kind="{}.mp4"):
    """FaceForensics++ with its reals and the fakes of each method in these folders."""
    trees.write_tree(root, *(f"{real}/{kind.format(name)}" for name in IDS))
    trees.write_tree(root, *(f"{fake}/{kind.format(name)}" for fake in fakes for name in PAIRS))
    for split, pair in zip(("train", "val", "test"), PAIRS, strict=True):
        (root / f"{split}.json").write_text(json.dumps([pair.split("_")]))
    return root


def methods_of(clips):
    return {method: sum(clip.method == method for clip in clips) for method in
            {clip.method for clip in clips}}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "real", "fake", "kind"),
    [
        ("FaceForensics++_C23", "original", "{}", "{}.mp4"),
        ("FaceForensics++_c23_processed", "original", "{}", "{}/0000.png"),
        ("Forensics", "RealFF/c23", "{}/c23", "images/{}/0000.png"),
        ("old", "original_sequences/c23", "manipulated_sequences/{}/c23", "videos/{}.mp4"),
        ("mixed", "original_sequences/youtube/c23", "{}/c23", "{}.mp4"),
    ],
)
def test_copies_of_ffpp_are_read_without_a_note_on_compression(
    tmp_path, name, real, fake, kind, caplog
):
    fakes = [fake.format(method) for method in ("Deepfakes", "FaceSwap")]
    root = write_ffpp(tmp_path / name, real, *fakes, kind=kind)
    clips = ffpp.read_ffpp(root)
    assert methods_of(clips) == {"real": 6, "Deepfakes": 3, "FaceSwap": 3}
    assert {(clip.path[-7:-4], clip.split) for clip in clips if kind == "{}.mp4"} <= {
        (name, split)
        for pair, split in zip(PAIRS, ("train", "val", "test"), strict=True)
        for name in pair.split("_")
    }
    assert all(clip.original for clip in clips if clip.label)
    assert not [message for message in caplog.messages if "do not say" in message]
    (missing,) = [message for message in caplog.messages if "are missing" in message]
    assert missing == "ffpp: 3 methods are missing in c23: Face2Face, FaceShifter, NeuralTextures"


def test_a_copy_that_names_another_compression_is_not_read_as_that_one(tmp_path, caplog):
    root = write_ffpp(tmp_path / "FaceForensics++_C40", "original", "Deepfakes")
    with pytest.raises(ValueError, match="C40 is in c40, not in c23: choose --compression c40"):
        ffpp.read_ffpp(root)
    assert len(ffpp.read_ffpp(root, compression="c40")) == 9
    ffpp.read_ffpp(write_ffpp(tmp_path / "mine", "original", "Deepfakes"))
    assert "ffpp: 1 folders do not say that they are in c23: Deepfakes" in caplog.messages


def test_a_method_that_is_there_in_another_compression_is_said_in_the_one_line(tmp_path, caplog):
    root = write_ffpp(tmp_path, "original_sequences/youtube/c40", "Deepfakes/c40")
    trees.write_tree(root, "manipulated_sequences/FaceShifter/c23/videos/000_001.mp4")
    assert methods_of(ffpp.read_ffpp(root, compression="c40")) == {"real": 6, "Deepfakes": 3}
    assert (
        "ffpp: 4 methods are missing in c40: Face2Face, FaceShifter (there in c23), FaceSwap, "
        "NeuralTextures"
    ) in caplog.messages


def test_split_files_may_lie_above_the_folder_of_the_corpus(tmp_path):
    root = write_ffpp(tmp_path / "dataset", "original_sequences/youtube/c23", "Deepfakes/c23")
    for split in ("train", "val", "test"):
        (tmp_path / "splits").mkdir(exist_ok=True)
        (root / f"{split}.json").rename(tmp_path / "splits" / f"{split}.json")
    assert len(ffpp.read_ffpp(tmp_path)) == len(ffpp.read_ffpp(root)) == 9


@pytest.mark.parametrize("nested", [False, True])
def test_a_copy_of_dfd_has_folders_of_other_names(tmp_path, nested):
    real, fake = "DFD_original sequences", "DFD_manipulated_sequences"
    fake = f"{fake}/{fake}" if nested else fake
    trees.write_tree(tmp_path, f"{real}/01__exit.mp4", f"{fake}/01_02__exit__AB.mp4")
    clips = dfd.read_dfd(tmp_path)
    assert [(clip.method, bool(clip.original)) for clip in clips] == [
        ("DeepFakeDetection", True), ("real", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        "dfdc_train_part_{0:02d}/dfdc_train_part_{0}",
        "train/dfdc_train_part_{0:02d}/dfdc_train_part_{0}",
        "train/dfdc_train_part_{0}/dfdc_train_part_{0:02d}",
        "dfdc_train_all/dfdc_train_part_{0}",
        "DFDC/train/dfdc_train_part_{0}",
        "kaggle/dfdc/dfdc_train_all/dfdc_train_part_{0:02d}/dfdc_train_part_{0}",
    ],
)
def test_the_archives_of_dfdc_may_be_unpacked_in_folders_of_their_own(tmp_path, form):
    for part in range(3):
        entries = {
            f"r{part}.mp4": {"label": "REAL"},
            f"f{part}.mp4": {"label": "FAKE", "original": f"r{part}.mp4"},
        }
        folder = form.format(part)
        trees.write_labels(tmp_path, {f"{folder}/metadata.json": entries})
        trees.write_tree(tmp_path / folder, *entries)
    clips = dfdc.read_dfdc(tmp_path)
    assert [clip.label for clip in clips] == [1, 1, 1, 0, 0, 0]
    assert {clip.split for clip in clips} == {"train", "val", "test"}


@pytest.mark.parametrize("kind", ["videos/{}.mp4", "frames/{}/000.png", "{}.mp4"])
def test_dfdcp_is_found_by_the_names_of_files(tmp_path, kind, caplog):
    """Both methods use the same names; one name is twice in method_B, and so in neither."""
    common = {"set": "train", "target_id": "1", "swapped_id": "2"}
    entries = {
        "original_videos/1/1_A_001.mp4": {"label": "real", **common},
        "method_A/1/1_A/2_1_A_001.mp4": {"label": "fake", **common},
        "method_B/1/1_A/2_1_A_001.mp4": {"label": "fake", **common},
        "method_B/1/1_A/x/2_1_A_009.mp4": {"label": "fake", **common},
        "method_B/1/1_A/y/2_1_A_009.mp4": {"label": "fake", **common},
    }
    trees.write_labels(tmp_path, {"dataset.json": entries})
    for folder, name in (
        ("original_videos", "1_A_001"), ("method_A", "2_1_A_001"), ("method_B", "2_1_A_001"),
        ("method_B", "2_1_A_009"),
    ):  # fmt: skip
        trees.write_tree(tmp_path / folder, kind.format(name))
    clips = dfdcp.read_dfdcp(tmp_path, shares=(1, 0, 0))
    assert [(clip.method, clip.origin_ids[0], bool(clip.original)) for clip in clips] == [
        ("method_A", "video:dfdcp/1_A_001", True),
        ("method_B", "video:dfdcp/1_A_001", True),
        ("real", "video:dfdcp/1_A_001", False),
    ]
    assert "dfdcp: 1 videos left out: not in dataset.json: method_B/2_1_A_009" in caplog.messages


@pytest.mark.parametrize("tree", ["DF40", "DF40_train", ""])
@pytest.mark.parametrize("group", ["Face-swapping", "face_swapping", "Face-swap", "FS"])
def test_df40_may_be_sorted_by_kinds_of_forgery(tmp_path, tree, group, caplog):
    trees.write_tree(
        tmp_path / tree,
        f"{group}/simswap/ff/frames/001_002/0.png",
        "Face-reenactment/lia/ff/frames/001_002/0.png",
        "Entire-Face-Synthesis/DiT/ff/001/0.png",
        "Face-Editing/stargan/fake/1.jpg",
    )
    clips = df40.read_df40(tmp_path, shares=(1, 0, 0))
    assert [clip.method for clip in clips] == ["DiT", "lia", "simswap", "stargan"]
    assert not [message for message in caplog.messages if "are not methods" in message]
    trees.write_tree(tmp_path / tree, "simswap/ff/frames/003_004/0.png")
    with pytest.raises(ValueError, match=r"simswap and .*simswap both exist: keep one"):
        df40.read_df40(tmp_path)


def write_entry(root, label, frame, *, below="", compression=None):
    """A file of DeepfakeBench with one video, and its frame."""
    trees.write_tree(root / below, frame)
    videos = {frame.split("/")[-2]: {"label": label, "frames": [frame]}}
    split = {compression: videos} if compression else videos
    return {label: {"test": split}}


@pytest.mark.parametrize(
    ("place", "below"),
    [
        ("preprocessing/dataset_json", "datasets/rgb"),
        ("preprocessing/dataset_json", ""),
        ("dataset_json", "datasets/rgb"),
        ("DeepfakeBench/preprocessing/dataset_json", "DeepfakeBench/datasets/rgb"),
    ],
)
def test_the_code_of_deepfakebench_holds_the_files(tmp_path, place, below):
    labels = write_entry(tmp_path, "UADFV_Real", "UADFV/real/frames/0000/0.png", below=below)
    labels |= write_entry(tmp_path, "UADFV_Fake", "UADFV/fake/frames/0000_fake/0.png", below=below)
    trees.write_labels(tmp_path, {f"{place}/UADFV.json": {"UADFV": labels}})
    fake, real = deepfakebench.read_deepfakebench(tmp_path)
    assert fake.path == str(tmp_path / below / "UADFV/fake/frames/0000_fake")
    assert fake.original == real.key


@pytest.mark.parametrize(
    ("real", "fake"), [("real", "fake"), ("Real", "Fake"), ("FFIW_source", "FFIW_target")]
)
def test_labels_of_deepfakebench_without_a_dataset(tmp_path, real, fake):
    labels = write_entry(tmp_path, real, "x/a/0.png") | write_entry(tmp_path, fake, "x/b/0.png")
    trees.write_labels(tmp_path, {"dataset_json/x.json": {"x": labels}})
    clips = deepfakebench.read_deepfakebench(tmp_path)
    assert [(clip.method, clip.label, clip.orphan) for clip in clips] == [
        (fake, 1, False), ("real", 0, False),
    ]  # fmt: skip


def test_labels_without_the_compression_are_left_out_or_refused(tmp_path, caplog):
    ffpp_frames = "FaceForensics++/manipulated_sequences/{}/{}/frames/000_001/0.png"
    reals = "FaceForensics++/original_sequences/youtube/{}/frames/000/0.png"
    c40 = write_entry(tmp_path, "FF-real", reals.format("c40"), compression="c40")
    c40 |= write_entry(tmp_path, "FF-DF", ffpp_frames.format("Deepfakes", "c40"), compression="c40")
    c23 = write_entry(tmp_path, "FF-FS", ffpp_frames.format("FaceSwap", "c23"), compression="c23")
    trees.write_labels(tmp_path, {"a.json": {"FF-DF": c40}, "b.json": {"FF-FS": c23}})
    found = deepfakebench.read_deepfakebench(tmp_path, compression="c40")
    assert {clip.method for clip in found} == {"real", "FF-DF"}
    assert "deepfakebench: 1 labels left out: they have no c40: FF-FS" in caplog.messages
    with pytest.raises(ValueError, match=r"a\.json: FF-real has no c23 in test, but c40: choose"):
        deepfakebench.read_deepfakebench(tmp_path)


def test_fakes_whose_originals_are_not_in_the_file_are_counted(tmp_path, caplog):
    """As the file of Celeb-DF v1; of DFDC's fakes, nobody knows the originals."""
    folder = "Celeb-DF-v1/{}/frames/{}/0.png"
    labels = {"CelebDFv1_real": {"test": {}}, "CelebDFv1_fake": {"test": {}}}
    for label, place, names in (
        ("CelebDFv1_real", "Celeb-real", ["id0_0000"]),
        ("CelebDFv1_fake", "Celeb-synthesis", ["id0_id1_0000", "id2_id1_0000", "id3_id1_0000"]),
    ):
        for name in names:
            frame = folder.format(place, name)
            trees.write_tree(tmp_path, frame)
            labels[label]["test"][name] = {"label": label, "frames": [frame]}
    dfdc_labels = write_entry(tmp_path, "DFDC_Fake", "DFDC/test/frames/abc/0.png")
    trees.write_labels(
        tmp_path, {"a.json": {"Celeb-DF-v1": labels}, "b.json": {"DFDC": dfdc_labels}}
    )
    clips = deepfakebench.read_deepfakebench(tmp_path)
    assert [clip.orphan for clip in clips if clip.label] == [False, True, True, False]
    (message,) = [m for m in caplog.messages if "not here" in m]
    assert message.startswith("deepfakebench: 2 of 3 fakes were made from videos that are not here")


def test_fakes_of_dfdcp_in_deepfakebench_are_known_by_their_names():
    assert dfdcp.origin_ids("643049_A_001") == (
        "video:dfdcp/643049_A_001", "identity:dfdcp/643049",
    )  # fmt: skip
    assert dfdcp.origin_ids("1255229_1003254_A_001") == (
        "video:dfdcp/1003254_A_001", "identity:dfdcp/1003254", "identity:dfdcp/1255229",
    )  # fmt: skip
    assert dfdcp.origin_ids("id0_0000") == ()


def test_missing_methods_of_celebdf_pp_are_one_line(tmp_path, caplog):
    trees.write_tree(
        tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4"
    )
    trees.write_labels(tmp_path, {"List_of_testing_videos.txt": ""})
    celebdf.read_celebdf_pp(tmp_path)
    assert len([message for message in caplog.messages if "missing" in message]) == 1
    assert (
        "celebdf_pp: 22 folders of the corpus are missing: AniTalker, BlendFace, Celeb-DF, DaGAN, "
        "EDTalk, …"
    ) in caplog.messages
