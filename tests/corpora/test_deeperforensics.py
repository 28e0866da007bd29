import pytest

from dfjax.corpora import deeperforensics
from dfjax.corpora.clip import Clip
from tests.corpora import trees

# 685, 686 and 687 are cut from one video on YouTube; here they are in three splits.
LISTS = {
    "train": ["071_M004.mp4", "685_W101.mp4"],
    "val": ["686_M005.mp4", "100_M005.mp4"],
    "test": ["687_W102.mp4"],
}
FAKES = [name for names in LISTS.values() for name in names]


def write_trees(tmp_path, variants=("end_to_end",), nested=""):
    root, ffpp_root = tmp_path / "deeper", tmp_path / "ffpp"
    lists = {f"lists/splits/{split}.txt": "\n".join(names) for split, names in LISTS.items()}
    trees.write_labels(root, lists)
    studio = "source_videos/M004/light_up/angry/camera_up/M004_light_up_angry_camera_up.mp4"
    fakes = [f"manipulated_videos/{v}/{nested}/{name}" for v in variants for name in FAKES]
    trees.write_tree(root, studio, *fakes)
    reals = [f"{kind}/videos/{name[:3]}.mp4" for kind in ("c23", "raw") for name in FAKES]
    for real in (*reals, "c23/videos/999.mp4"):
        trees.write_tree(ffpp_root / "original_sequences/youtube", real)
    return root, ffpp_root


def test_the_clips_are_exactly_these_and_the_reals_are_those_of_ffpp(tmp_path):
    root, ffpp_root = write_trees(tmp_path)
    shared = ("video:youtube/r2T0mn64MAU",)

    def fake(name, split, origin_ids):
        path = f"manipulated_videos/end_to_end/{name}.mp4"
        return Clip(
            f"deeperforensics/end_to_end/{path}", f"{root}/{path}", 1, "end_to_end", split,
            origin_ids,
            f"deeperforensics/real/original_sequences/youtube/c23/videos/{name[:3]}.mp4",
        )  # fmt: skip

    def real(name, split, *more):
        path = f"original_sequences/youtube/c23/videos/{name}.mp4"
        origin_ids = (f"video:ffpp/{name}", *more)
        key = f"deeperforensics/real/{path}"
        return Clip(key, f"{ffpp_root}/{path}", 0, "real", split, origin_ids)

    def ids(name, actor, *more):
        return (f"video:ffpp/{name}", *more, f"identity:deeperforensics/{actor}")

    assert deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root) == [
        fake("071_M004", "train", ids("071", "M004")),
        fake("100_M005", "val", ids("100", "M005")),
        fake("685_W101", "train", ids("685", "W101", *shared)),
        fake("686_M005", "val", ids("686", "M005", *shared)),
        fake("687_W102", "test", ids("687", "W102", *shared)),
        real("071", "train"),
        real("100", "val"),
        real("685", "train", *shared),
        real("686", "val", *shared),
        real("687", "test", *shared),
    ]


def test_strict_leaves_no_youtube_video_in_two_splits(tmp_path):
    root, ffpp_root = write_trees(tmp_path)
    found = deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root, strict=True)
    assert [clip.path.rsplit("/")[-1] for clip in found] == [
        "071_M004.mp4", "100_M005.mp4", "687_W102.mp4", "071.mp4", "100.mp4", "687.mp4",
    ]  # fmt: skip


def test_variants_are_chosen_and_may_be_nested(tmp_path, caplog):
    variants = ("end_to_end", "end_to_end_level_3", "reenact_postprocess")
    root, ffpp_root = write_trees(tmp_path, variants, nested="videos")
    found = deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root)
    assert {clip.method for clip in found} == {"real", *variants}
    assert (
        "deeperforensics: 8 methods are missing: end_to_end_level_1, end_to_end_level_2, "
        "end_to_end_level_4, end_to_end_level_5, end_to_end_mix_2_distortions, …"
    ) in caplog.messages
    chosen = ["end_to_end_level_3"]
    found = deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root, methods=chosen)
    assert len(found) == 10
    with pytest.raises(ValueError, match="methods level_3: use some of end_to_end, "):
        deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root, methods=["level_3"])


def test_without_the_reals_or_with_wrong_lists_the_import_stops(tmp_path, caplog):
    root, ffpp_root = write_trees(tmp_path)
    with pytest.raises(ValueError, match=r"needs the folder of FaceForensics.*: give it .*--ffpp"):
        deeperforensics.read_deeperforensics(root)
    (root / "manipulated_videos/end_to_end/071_M004.mp4").unlink()
    (ffpp_root / "original_sequences/youtube/c23/videos/100.mp4").unlink()
    deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root, methods=["end_to_end"])
    assert caplog.messages == [
        "deeperforensics: lists/splits: 5 of 1,000 clips",
        f"deeperforensics: 1 originals are missing in {ffpp_root}: 100",
        "deeperforensics: end_to_end: 4 of 5 clips; missing: 071_M004",
        "deeperforensics: 1 of 4 fakes were made from videos that are not here: only fakes show "
        "those: deeperforensics/end_to_end/manipulated_videos/end_to_end/100_M005.mp4",
    ]
    for text, message in (
        ("071_M004.mp4\n", "071_M004 is also in train.txt: download both"),
        ("071_054.mp4\n", "'071_054.mp4' is not a name like 071_M004.mp4"),
    ):
        (root / "lists/splits/test.txt").write_text(text)
        with pytest.raises(ValueError, match=message):
            deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root)
    (root / "lists/splits/val.txt").unlink()
    with pytest.raises(ValueError, match=r"val.txt is missing"):
        deeperforensics.read_deeperforensics(root, ffpp_root=ffpp_root)
