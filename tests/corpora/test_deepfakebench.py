import json

import pytest

from dfjax.corpora import deepfakebench
from dfjax.corpora.clip import Clip

CROPS = "FaceForensics++/manipulated_sequences/Deepfakes/c23/frames"
REALS = "FaceForensics++/original_sequences/youtube/c23/frames"
CELEB = "Celeb-DF-v2"


def write_frames(root, folder, names=("000.png", "010.png", "9.png")):
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / folder / name).touch()


def entry(label, folder, names=("010.png", "9.png", "000.png"), *, prefix="datasets/rgb/"):
    """As the files have it: frames in any order, paths of another machine."""
    return {"label": label, "frames": [f"{prefix}{folder}/{name}" for name in names], "masks": []}


def write_labels(root, dataset, labels, name=None):
    file = root / "dataset_json" / f"{name or dataset}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({dataset: labels}))
    return file


def write_ffpp(root):
    """FF-DF.json: 071 and 054 in train, 953 in test; Windows paths; c40 without crops."""
    for name in ("071_054", "953_960"):
        write_frames(root, f"{CROPS}/{name}")
    for name in ("071", "953"):
        write_frames(root, f"{REALS}/{name}")

    def section(label, folder, name, prefix):
        made = entry(label, f"{folder}/{name}", prefix=prefix)
        made["frames"] = [frame.replace("/", "\\") for frame in made["frames"]]
        return {"c23": {name: made}, "c40": {name: entry(label, f"absent/{name}")}}

    return write_labels(
        root, "FF-DF",
        {
            "FF-real": {
                "train": section("FF-real", REALS, "071", "F:\\rgb\\"),
                "val": {},
                "test": section("FF-real", REALS, "953", ""),
            },
            "FF-DF": {
                "train": section("FF-DF", CROPS, "071_054", "/Youtu/zhiyuanyan/rgb/"),
                "val": {},
                "test": section("FF-DF", CROPS, "953_960", "./"),
            },
        },
    )  # fmt: skip


def write_celeb(root):
    """Celeb-DF-v2.json as its makers write it: train has all, val and test have the test list."""
    labels = {"CelebDFv2_real": {}, "CelebDFv2_fake": {}}
    for label, folder, names in (
        ("CelebDFv2_real", "Celeb-real", [f"id{i}_0000" for i in range(20)]),
        ("CelebDFv2_fake", "Celeb-synthesis", [f"id{i}_id9_0000" for i in range(20)]),
        ("CelebDFv2_real", "YouTube-real", ["00170"]),
    ):
        for name in names:
            place = f"{CELEB}/{folder}/frames/{name}"
            write_frames(root, place)
            is_test = name.startswith(("id0_", "001"))
            for split in ("train", "val", "test") if is_test else ("train",):
                labels[label].setdefault(split, {})[name] = entry(label, place)
    return write_labels(root, CELEB, labels)


@pytest.mark.parametrize("place", ["", "dataset_json", "dataset_json/FF-DF.json"])
def test_the_clips_are_exactly_these(tmp_path, place, caplog):
    write_ffpp(tmp_path)
    found = deepfakebench.read_deepfakebench(tmp_path / place, shares=(1, 0, 0))

    def clip(folder, name, split, original=""):
        method = "FF-DF" if folder == CROPS else "real"
        origin_ids = tuple(f"video:ffpp/{part}" for part in name.split("_"))
        return Clip(
            f"deepfakebench/{method}/{folder}/{name}", f"{tmp_path}/{folder}/{name}",
            int(method != "real"), method, split, origin_ids, original,
        )  # fmt: skip

    real = f"deepfakebench/real/{REALS}"
    assert found == [
        clip(CROPS, "071_054", "train", f"{real}/071"),
        clip(CROPS, "953_960", "test", f"{real}/953"),
        clip(REALS, "071", "train"),
        clip(REALS, "953", "test"),
    ]
    assert caplog.messages == []


def test_what_is_in_test_is_in_test_alone_and_val_comes_from_train(tmp_path, caplog):
    write_celeb(tmp_path)
    found = deepfakebench.read_deepfakebench(tmp_path, seed=1)
    splits = {}
    for clip in found:
        splits.setdefault(clip.origin_ids[0], []).append(clip.split)
    assert splits.pop("video:celebdf/id0_0000") == ["test", "test"]
    assert splits.pop("video:celebdf/youtube/00170") == ["test"]
    assert sorted(splits.values()) == [["train"] * 2] * 17 + [["val"] * 2] * 2
    assert len(caplog.messages) == 1
    assert "3 clips are in several splits" in caplog.messages[0]
    strict = deepfakebench.read_deepfakebench(tmp_path, strict=True)
    people = {source for clip in strict if clip.split == "test" for source in clip.origin_ids}
    assert {"identity:celebdf/id0", "identity:celebdf/id9"} < people
    assert not any(people & set(clip.origin_ids) for clip in strict if clip.split != "test")


def test_what_is_in_train_and_val_stays_in_train(tmp_path):
    """DFDC.json has all of train in val, too."""
    videos = {}
    for number in range(10):
        write_frames(tmp_path, f"DFDC/train/frames/v{number}")
        videos[f"v{number}"] = entry("DFDC_Real", f"DFDC/train/frames/v{number}")
    write_labels(tmp_path, "DFDC", {"DFDC_Real": {"train": videos, "val": videos}})
    found = deepfakebench.read_deepfakebench(tmp_path)
    assert sorted(clip.split for clip in found) == ["train"] * 9 + ["val"]


def test_all_of_a_corpus_in_every_split_is_test(tmp_path):
    label = {"UADFV_Real": "real/frames/0000", "UADFV_Fake": "fake/frames/0000_fake"}
    labels = {}
    for name, folder in label.items():
        write_frames(tmp_path, f"UADFV/{folder}")
        video = {folder.rsplit("/")[-1]: entry(name, f"UADFV/{folder}")}
        labels[name] = {split: video for split in ("train", "val", "test")}
    write_labels(tmp_path, "UADFV", labels)
    fake, real = deepfakebench.read_deepfakebench(tmp_path)
    assert (fake.split, fake.origin_ids, fake.original) == ("test", ("video:uadfv/0000",), real.key)
    assert (real.split, real.origin_ids, real.label) == ("test", ("video:uadfv/0000",), 0)


def test_a_video_of_several_files_is_one_clip_with_the_name_of_its_method(tmp_path):
    place = "DF40/simswap/cdf/frames/id0_id1_0000"
    write_frames(tmp_path, place)
    write_frames(tmp_path, f"{CELEB}/YouTube-real/frames/00170")
    for dataset, label in (("FSAll_cdf", "FSAll"), ("simswap_cdf", "simswap")):
        fake = {"id0_id1_0000": entry(f"{label}_Fake", place)}
        real = {"00170": entry(f"{label}_Real", f"{CELEB}/YouTube-real/frames/00170")}
        write_labels(
            tmp_path, dataset, {f"{label}_Fake": {"test": fake}, f"{label}_Real": {"test": real}}
        )
    found = deepfakebench.read_deepfakebench(tmp_path)
    assert [(clip.method, clip.path, clip.origin_ids[0]) for clip in found] == [
        ("real", f"{tmp_path}/{CELEB}/YouTube-real/frames/00170", "video:celebdf/youtube/00170"),
        ("simswap_Fake", f"{tmp_path}/{place}", "video:celebdf/id0_0000"),
    ]


def test_celebdf_pp_and_dfdc_have_shapes_of_their_own(tmp_path):
    place = "Celeb-DF-v3/Celeb-synthesis/FaceReenact/DaGAN/frames/id3_id28_0001"
    write_frames(tmp_path, place)
    nested = {"DaGAN": {"id3_id28_0001": entry("CelebDFv3_fake", place)}, "LIA": {}}
    write_labels(tmp_path, "Celeb-DF-v3", {"CelebDFv3_fake": {"test": nested}})
    write_frames(tmp_path, "DFDC/test/frames/abc")
    bare = entry("DFDC_Real", "DFDC/test/frames/abc")
    write_labels(tmp_path, "DFDC", {"DFDC_Real": {"test": {"abc": bare}, "val": bare}})
    found = deepfakebench.read_deepfakebench(tmp_path)
    assert [(clip.method, clip.split, clip.path) for clip in found] == [
        ("DaGAN", "test", f"{tmp_path}/{place}"),
        ("real", "test", f"{tmp_path}/DFDC/test/frames/abc"),
    ]


def test_numbers_are_ids_of_ffpp_only_there(tmp_path):
    write_frames(tmp_path, "WDF/test/real/123")
    write_frames(tmp_path, "DeeperForensics-1.0/manipulated_videos/end_to_end/frames/071_M004")
    write_frames(tmp_path, "FaceForensics++/original_sequences/actors/c23/frames/24__exit")
    for label, folder in (
        ("WDF_real", "WDF/test/real/123"),
        ("DF_fake", "DeeperForensics-1.0/manipulated_videos/end_to_end/frames/071_M004"),
        ("DFD_real", "FaceForensics++/original_sequences/actors/c23/frames/24__exit"),
    ):
        video = {folder.rsplit("/")[-1]: entry(label, folder)}
        write_labels(tmp_path, label, {label: {"test": video}})
    found = {clip.origin_ids for clip in deepfakebench.read_deepfakebench(tmp_path)}
    assert found == {
        ("video:wdf_real/123",),
        ("video:ffpp/071", "identity:deeperforensics/M004"),
        ("video:dfd/24__exit", "identity:dfd/24"),
    }


def test_pictures_are_clips_where_an_entry_is_not_a_folder(tmp_path, caplog):
    write_frames(tmp_path, "DF40/stargan/fake", ["1.jpg", "2.jpg", "3.jpg"])
    write_frames(tmp_path, "DF40/stargan/real", ["1.jpg"])
    fakes = {"all": entry("stargan_Fake", "DF40/stargan/fake", ["1.jpg", "2.jpg"])}
    reals = {
        "some": entry("stargan_Real", "DF40/stargan/real", ["1.jpg", "2.jpg"]),
        "gone": entry("stargan_Real", "DF40/stargan/real/gone", ["1.jpg"]),
        "none": entry("stargan_Real", "DF40/stargan/real", []),
    }
    labels = {"stargan_Fake": {"test": fakes}, "stargan_Real": {"test": reals}}
    write_labels(tmp_path, "stargan", labels)
    found = deepfakebench.read_deepfakebench(tmp_path)
    assert [clip.key for clip in found] == [
        "deepfakebench/real/DF40/stargan/real",
        "deepfakebench/stargan_Fake/DF40/stargan/fake/1.jpg",
        "deepfakebench/stargan_Fake/DF40/stargan/fake/2.jpg",
    ]
    assert found[1].origin_ids == found[2].origin_ids == ("video:stargan/all",)
    prefix = "deepfakebench: {} entries of stargan.json "
    assert caplog.messages == [
        f"{prefix.format(1)}list only a part of a folder: each picture is a clip: "
        "stargan/stargan_Fake/test/all",
        f"{prefix.format(1)}lack frames: stargan/stargan_Real/test/some",
        f"{prefix.format(2)}have no frame: "
        "stargan/stargan_Real/test/gone, stargan/stargan_Real/test/none",
    ]


def test_a_fake_picture_of_a_part_of_a_folder_has_the_real_of_its_frame(tmp_path):
    write_frames(tmp_path, f"{CROPS}/071_054", ["000.png", "010.png", "020.png"])
    write_frames(tmp_path, f"{REALS}/071", ["000.png", "020.png", "040.png"])
    fake = {"071_054": entry("FF-DF", f"{CROPS}/071_054", ["010.png", "020.png"])}
    real = {"071": entry("FF-real", f"{REALS}/071", ["000.png", "020.png"])}
    labels = {"FF-DF": {"test": {"c23": fake}}, "FF-real": {"test": {"c23": real}}}
    write_labels(tmp_path, "FF-DF", labels)
    found = [clip for clip in deepfakebench.read_deepfakebench(tmp_path) if clip.label]
    of = f"deepfakebench/real/{REALS}/071"
    assert [(clip.frame, clip.original, clip.same_frame) for clip in found] == [
        (10, f"{of}/000.png", False),
        (20, f"{of}/020.png", True),
    ]


def test_recordings_of_actors_as_reals_of_deeperforensics_are_said(tmp_path, caplog):
    place = "DeeperForensics-1.0/source_videos/M004/frames/M004_BlendShape_camera_up"
    write_frames(tmp_path, place)
    video = {"M004_BlendShape_camera_up": entry("DF_real", place)}
    write_labels(tmp_path, "DeeperForensics-1.0", {"DF_real": {"test": video}})
    deepfakebench.read_deepfakebench(tmp_path)
    assert "1 reals are actors in a studio, not FaceForensics++'s" in caplog.messages[0]


def test_a_label_that_contradicts_anything_stops_the_import(tmp_path):
    def read(label, folder, *, of_entry=None):
        write_frames(tmp_path, folder)
        labels = {label: {"test": {"a": entry(of_entry or label, folder)}}}
        return deepfakebench.read_deepfakebench(write_labels(tmp_path, "x", labels))

    for label, folder, message in (
        ("CelebDFv2_real", "Celeb-DF-v2/Celeb-synthesis/frames/a", "Celeb-synthesis has the other"),
        ("FF-DF", f"{REALS}/a", "but original_sequences has the other class"),
        ("stargan_Fake", "stargan/real/a", "but real has the other class"),
        ("Celeb-DF", "any/where", "label 'Celeb-DF' is unknown: use FF-real"),
    ):
        with pytest.raises(ValueError, match=message):
            read(label, folder)
    with pytest.raises(ValueError, match="x/a_Fake/test/a has the label 'a_Real'"):
        read("a_Fake", "x/a", of_entry="a_Real")
    write_labels(tmp_path, "y", {"b_Real": {"test": {"a": entry("b_Real", "x/a")}}})
    read("b_Fake", "x/a")
    with pytest.raises(ValueError, match="is x/b_Fake/test/a and y/b_Real/test/a: correct one of"):
        deepfakebench.read_deepfakebench(tmp_path)


def test_files_that_are_not_understood_stop_the_import(tmp_path):
    file = write_ffpp(tmp_path)
    with pytest.raises(
        ValueError, match="has no raw in train, but c23, c40: choose that compression"
    ):
        deepfakebench.read_deepfakebench(file, compression="raw")
    with pytest.raises(ValueError, match="has no clip of this corpus"):
        deepfakebench.read_deepfakebench(file, compression="c40")
    with pytest.raises(ValueError, match="has no label file"):
        deepfakebench.read_deepfakebench(tmp_path / "FaceForensics++")
    for labels, message in (
        ({"FF-real": {"dev": {}}}, "FF-real has the split .dev': use train, val, test"),
        ({"FF-real": {"test": []}}, "FF-real/test is not a JSON object"),
        (
            {"FF-real": {"test": {"a": entry("FF-real", "../a")}}},
            "paths must lead down",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            deepfakebench.read_deepfakebench(write_labels(tmp_path, "z", labels))
