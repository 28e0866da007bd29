import json

import pytest

from dfjax.corpora import df40
from dfjax.corpora.clip import Clip
from tests.corpora import trees

FILES = (
    "DF40/simswap/ff/frames/003_755/000.png",
    "DF40/simswap/cdf/frames/id1_id0_0007/000.png",
    "DF40/sadtalker/sadtalker/cdf/Fake_from_Youtube-real/00170/000.png",
    "DF40/StyleGAN2/ff/003/seed0188.png",
    "DF40/stargan/fake/fake/000001.jpg",
    "DF40/stargan/fake/fake/000002.jpg",
    "DF40/stargan/real/000001.jpg",
    "DF40/heygen/fake/frames/071/000.png",
    "DF40/e4e/ff/inversions/00012.jpg",
    "DF40_train/simswap/frames/000_756/000.png",
    "DF40_train/lia/ff/001_002/000.png",
)


def write_ffpp(root, kind="frames"):
    pairs = {"train": [["000", "756"]], "val": [["001", "002"]], "test": [["755", "003"]]}
    for split, rows in pairs.items():
        for name in rows[0]:
            suffix = "/000.png" if kind == "frames" else ".mp4"
            trees.write_tree(root, f"original_sequences/youtube/c23/{kind}/{name}{suffix}")
        (root / f"{split}.json").write_text(json.dumps(rows))
    return root


def write_celebdf(root):
    trees.write_tree(
        root, *(f"Celeb-real/frames/{name}/000.png" for name in ("id1_0007", "id2_0000"))
    )
    trees.write_tree(root, "YouTube-real/frames/00170/000.png")
    listed = (
        "1 Celeb-real/id1_0007.mp4\n1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id1_id0_0007.mp4"
    )
    (root / "List_of_testing_videos.txt").write_text(listed)
    return root


def test_the_clips_are_exactly_these(tmp_path):
    root = trees.write_tree(tmp_path, *FILES)

    def fake(method, path, split, *origin_ids):
        key = f"df40/{method}/{path}"
        return Clip(key, f"{root}/{path}", 1, method, split, origin_ids or (f"video:df40/{path}",))

    youtube = "DF40/sadtalker/sadtalker/cdf/Fake_from_Youtube-real/00170"
    straddling = "video:youtube/tR7z_H1qPMc"
    test, train = "DF40", "DF40_train"
    people = ("identity:celebdf/id1", "identity:celebdf/id0")
    pair = ("video:ffpp/003", "video:ffpp/755", straddling)
    style = (f"video:df40/{test}/StyleGAN2/ff/003", "video:ffpp/003")
    swap = ("video:ffpp/000", "video:ffpp/756", straddling)
    real = f"{test}/stargan/real/000001.jpg"
    assert df40.read_df40(root, shares=(1, 0, 0)) == [
        fake("StyleGAN2", f"{test}/StyleGAN2/ff/003", "test", *style),
        fake("e4e", f"{test}/e4e/ff/inversions/00012.jpg", "test"),
        fake("heygen", f"{test}/heygen/fake/frames/071", "test"),
        fake("lia", f"{train}/lia/ff/001_002", "train", "video:ffpp/001", "video:ffpp/002"),
        Clip(f"df40/real/{real}", f"{root}/{real}", 0, "real", "test", (f"video:df40/{real}",)),
        fake("sadtalker", youtube, "test", "video:celebdf/youtube/00170"),
        fake("simswap", f"{test}/simswap/cdf/frames/id1_id0_0007", "test",
             "video:celebdf/id1_0007", *people),
        fake("simswap", f"{test}/simswap/ff/frames/003_755", "test", *pair),
        fake("simswap", f"{train}/simswap/frames/000_756", "train", *swap),
        fake("stargan", f"{test}/stargan/fake/fake/000001.jpg", "test"),
        fake("stargan", f"{test}/stargan/fake/fake/000002.jpg", "test"),
    ]  # fmt: skip


def test_the_reals_are_those_of_the_other_corpora_in_their_splits(tmp_path, caplog):
    root = trees.write_tree(tmp_path / "df40", *FILES)
    ffpp_root, celebdf_root = write_ffpp(tmp_path / "ffpp"), write_celebdf(tmp_path / "celeb")
    found = df40.read_df40(root, ffpp_root=ffpp_root, celebdf_root=celebdf_root)
    assert [(c.path.rsplit("/")[-1], c.split) for c in found if c.label == 0] == [
        ("id1_0007", "test"), ("000001.jpg", "test"), ("00170", "test"), ("000", "train"),
        ("001", "val"), ("002", "val"), ("003", "test"), ("755", "test"), ("756", "train"),
    ]  # fmt: skip
    original = {clip.key.split("/", 1)[1]: clip.original for clip in found if clip.original}
    ffpp, celeb = "df40/real/original_sequences/youtube/c23/frames", "df40/real/Celeb-real/frames"
    assert original == {
        "lia/DF40_train/lia/ff/001_002": f"{ffpp}/001",
        "sadtalker/DF40/sadtalker/sadtalker/cdf/Fake_from_Youtube-real/00170": (
            "df40/real/YouTube-real/frames/00170"
        ),
        "simswap/DF40/simswap/cdf/frames/id1_id0_0007": f"{celeb}/id1_0007",
        "simswap/DF40/simswap/ff/frames/003_755": f"{ffpp}/003",
        "simswap/DF40_train/simswap/frames/000_756": f"{ffpp}/000",
    }
    assert [c.split for c in found if "001_002" in c.path] == ["val"]
    assert not [message for message in caplog.messages if "not read" in message]
    strict = df40.read_df40(root, ffpp_root=ffpp_root, celebdf_root=celebdf_root, strict=True)
    assert {c.path.rsplit("/")[-1] for c in found} - {c.path.rsplit("/")[-1] for c in strict} == {
        "000_756", "756",
    }  # fmt: skip


def test_whole_videos_as_reals_beside_crops_are_refused(tmp_path):
    root, ffpp_root = (
        trees.write_tree(tmp_path / "df40", *FILES),
        write_ffpp(tmp_path / "ffpp", "videos"),
    )
    message = r"differ in their form \(reals: 6 videos, 1 folders of frames; fakes: 0 videos, 10"
    with pytest.raises(ValueError, match=message):
        df40.read_df40(root, ffpp_root=ffpp_root)


def test_folders_above_the_methods_decide_no_label(tmp_path):
    root = tmp_path / "real" / "fake"
    trees.write_tree(root, "DF40/stargan/fake/1.jpg", "DF40/simswap/ff/face_images/003_755/0.png")
    assert [(clip.method, clip.key.rpartition("/")[2]) for clip in df40.read_df40(root)] == [
        ("simswap", "003_755"), ("stargan", "1.jpg"),
    ]  # fmt: skip


def test_reals_come_in_the_splits_of_the_fakes_alone(tmp_path):
    root = trees.write_tree(tmp_path / "df40", "simswap/ff/frames/003_755/000.png")
    found = df40.read_df40(root, ffpp_root=write_ffpp(tmp_path / "ffpp"))
    assert [clip.path.rsplit("/")[-1] for clip in found if clip.label == 0] == ["003", "755"]


@pytest.mark.parametrize(("name", "split"), [("DF40_train", "train"), ("mine", "test")])
def test_the_root_may_hold_the_methods_themselves(tmp_path, name, split, caplog):
    root = trees.write_tree(tmp_path / name, "simswap/ff/frames/000_756/000.png", "notes/a.txt")
    (root / "RDDM/ff/000").mkdir(parents=True)
    found = df40.read_df40(root, shares=(1, 0, 0))
    assert [(clip.key, clip.split) for clip in found] == [
        ("df40/simswap/simswap/ff/frames/000_756", split)
    ]
    assert f"df40: 1 folders in {root} are not methods: notes" in caplog.messages
    assert f"df40: 1 folders in {root}/RDDM are empty: ff/000" in caplog.messages
    absent = "df40: 39 methods are missing: CollabDiff, DiT, MRAA, MidJourney, RDDM, …"
    assert absent in caplog.messages


def test_methods_are_chosen_and_val_is_a_share_of_train(tmp_path):
    paths = [f"DF40_train/lia/ff/{i:03}_{i + 1:03}/000.png" for i in range(0, 100, 2)]
    root = trees.write_tree(tmp_path, *paths, *FILES)
    found = df40.read_df40(root, methods=["lia"], seed=2)
    assert sorted(clip.split for clip in found) == ["train"] * 45 + ["val"] * 6
    with pytest.raises(ValueError, match="methods liar: use some of CollabDiff, DiT"):
        df40.read_df40(root, methods=["liar"])
    with pytest.raises(ValueError, match="has no clip of this corpus"):
        df40.read_df40(root, methods=["fomm"])
