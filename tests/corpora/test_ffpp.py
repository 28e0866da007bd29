import json

import pytest

from dfjax.corpora import ffpp
from dfjax.corpora.clip import Clip

# 755 (test) and 756 (train) are cut from one video on YouTube; so are 837 (val) and 838 (train).
PAIRS = {
    "train": [("000", "756"), ("838", "001")],
    "val": [("837", "002")],
    "test": [("755", "003")],
}
FAKES = [f"{a}_{b}" for pairs in PAIRS.values() for pair in pairs for a, b in (pair, pair[::-1])]
REALS = [name for pairs in PAIRS.values() for pair in pairs for name in pair]


def write_tree(root, *, compression="c23", methods=("Deepfakes",), place="", kind="videos"):
    for part, names in [("original_sequences/youtube", REALS)] + [
        (f"manipulated_sequences/{method}", FAKES) for method in methods
    ]:
        folder = root / part / compression / kind
        folder.mkdir(parents=True)
        for name in names:
            file = folder / (f"{name}.mp4" if kind == "videos" else f"{name}/0000.png")
            file.parent.mkdir(exist_ok=True)
            file.touch()
    # Downloads also have masks, and DeepFakeDetection.
    for trap in ("Deepfakes/masks/videos/000_756", "DeepFakeDetection/c23/videos/01_02__exit__AB"):
        file = root / "manipulated_sequences" / f"{trap}.mp4"
        file.parent.mkdir(parents=True)
        file.touch()
    (root / place).mkdir(parents=True, exist_ok=True)
    for split, pairs in PAIRS.items():
        (root / place / f"{split}.json").write_text(json.dumps(pairs))
    return root


def test_the_clips_are_exactly_these(tmp_path):
    found = ffpp.read_ffpp(write_tree(tmp_path))
    real, fake = "original_sequences/youtube", "manipulated_sequences/Deepfakes"

    def expected(name, split, *shared):
        method, tree = ("Deepfakes", fake) if "_" in name else ("real", real)
        origin_ids = [f"video:ffpp/{id_}" for id_ in name.split("_")]
        origin_ids += [f"video:youtube/{video}" for video in shared]
        original = f"ffpp/real/{real}/c23/videos/{name[:3]}.mp4" if "_" in name else ""
        path = f"{tree}/c23/videos/{name}.mp4"
        return Clip(
            f"ffpp/{method}/{path}", str(tmp_path / path), int("_" in name), method, split,
            tuple(origin_ids), original,
        )  # fmt: skip

    shared_by_test, shared_by_val = "tR7z_H1qPMc", "wERnQNuwQbM"
    assert sorted(found, key=lambda clip: clip.path.rsplit("/")[-1]) == [
        expected("000", "train"),
        expected("000_756", "train", shared_by_test),
        expected("001", "train"),
        expected("001_838", "train", shared_by_val),
        expected("002", "val"),
        expected("002_837", "val", shared_by_val),
        expected("003", "test"),
        expected("003_755", "test", shared_by_test),
        expected("755", "test", shared_by_test),
        expected("755_003", "test", shared_by_test),
        expected("756", "train", shared_by_test),
        expected("756_000", "train", shared_by_test),
        expected("837", "val", shared_by_val),
        expected("837_002", "val", shared_by_val),
        expected("838", "train", shared_by_val),
        expected("838_001", "train", shared_by_val),
    ]


def test_strict_leaves_no_youtube_video_in_two_splits(tmp_path):
    left = ffpp.read_ffpp(write_tree(tmp_path), strict=True)
    names = {split: set() for split in PAIRS}
    for clip in left:
        names[clip.split].add(clip.path.rsplit("/")[-1].removesuffix(".mp4"))
    assert names == {
        "train": {"000", "001"},
        "val": {"837", "002", "837_002", "002_837"},
        "test": {"755", "003", "755_003", "003_755"},
    }


def test_the_videos_shared_by_several_ids_are_the_published_ones():
    # 1,000 ids are cut from 977 videos.
    shared = [ffpp.origin_ids(f"{number:03}")[1:] for number in range(1000)]
    videos = {video for (video,) in filter(None, shared)}
    assert 1000 - sum(map(bool, shared)) + len(videos) == 977


@pytest.mark.parametrize("place", ["", "splits", "dataset/splits"])
@pytest.mark.parametrize("kind", ["videos", "images", "frames"])
def test_folders_of_frames_and_the_places_of_the_splits(tmp_path, place, kind):
    found = ffpp.read_ffpp(write_tree(tmp_path, place=place, kind=kind))
    suffix = ".mp4" if kind == "videos" else ""
    assert {clip.path.rsplit("/", 2)[-1] for clip in found} == {
        f"{name}{suffix}" for name in REALS + FAKES
    }


def test_compressions_and_methods_are_chosen(tmp_path):
    write_tree(tmp_path, compression="c0", methods=("Deepfakes", "FaceShifter"))
    found = ffpp.read_ffpp(tmp_path, compression="raw", methods=["FaceShifter"])
    assert {clip.method for clip in found} == {"real", "FaceShifter"}
    assert all("/c0/" in clip.key for clip in found)
    for options, message in (
        (
            {"compression": "c23"},
            r"has no original_sequences/youtube in c23: download it, or choose another compression "
            r"\(there in raw\); the folder holds manipulated_sequences, original_sequences",
        ),
        ({"compression": "c41"}, "compression 'c41': use raw, c23, c40"),
        (
            {"compression": "raw", "methods": ["Face2Face"]},
            "has no manipulated_sequences/Face2Face in raw",
        ),
        ({"compression": "raw", "methods": ["DeepFakeDetection"]}, "use some of Deepfakes,"),
    ):
        with pytest.raises(ValueError, match=message):
            ffpp.read_ffpp(tmp_path, **options)


def test_what_deviates_from_the_owners_is_said(tmp_path, caplog):
    write_tree(tmp_path)
    folder = tmp_path / "manipulated_sequences/Deepfakes/c23/videos"
    (folder / "000_756.mp4").unlink()
    (folder / "000_001.mp4").touch()
    (folder / "list.txt").touch()
    keys = {clip.key for clip in ffpp.read_ffpp(tmp_path)}
    assert f"ffpp/Deepfakes/{folder.relative_to(tmp_path)}/000_001.mp4" not in keys
    assert (
        f"ffpp: 3 split files in {tmp_path} differ from the published ones: "
        "test.json, train.json, val.json"
    ) in caplog.messages
    assert "ffpp: Deepfakes c23: 8 of 8 clips; missing: 000_756; not published: 000_001" in (
        caplog.messages
    )
    assert (
        "ffpp: 4 methods are missing in c23: Face2Face, FaceShifter, FaceSwap, NeuralTextures"
    ) in caplog.messages
    assert f"ffpp: 1 files in {folder} are neither video nor picture: list.txt" in caplog.messages


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "val.json",
            None,
            "download them there from dataset/splits of https://github.com/ondyari/FaceForens",
        ),
        ("val.json", '[["837", "002"], ["000", "004"]]', "000 is also in train.json"),
        ("val.json", "[[837, 2]]", r"\[837, 2\] is not a pair of ids"),
        ("val.json", '{"a": 1}', "holds a dict, not a list"),
    ],
)
def test_splits_that_are_missing_or_wrong_stop_the_import(tmp_path, name, content, message):
    write_tree(tmp_path)
    (tmp_path / name).unlink()
    if content:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        ffpp.read_ffpp(tmp_path)
