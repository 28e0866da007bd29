import os
import pathlib

import pytest

from dfjax.corpora.clip import Clip
from dfjax.corpora.folder import read_folder


def write_files(root: pathlib.Path, *paths: str) -> None:
    """Every file gets bytes of its own."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)


def write_manifest(root: pathlib.Path, text: str, *, files: bool = True) -> pathlib.Path:
    root.mkdir(parents=True, exist_ok=True)
    rows = text.strip().splitlines()
    (root / "manifest.csv").write_text("\n".join(row.strip() for row in rows) + "\n")
    if files:
        write_files(root, *(row.split(",")[0].strip() for row in rows[1:]))
    return root


def test_a_manifest_gives_exactly_these_clips(tmp_path):
    root = write_manifest(
        tmp_path / "corpus",
        """
        path,label,split,method,group,pair,comment
        b.mp4,FAKE,test,swap,id1;id2,p1,x
        a.mp4,0,Test,youtube,id1,p1,
        c.png,1,valid,,,,
        sub/d.jpg,real,train,,id3,,y
        """,
    )
    original, ids = "corpus/real/a.mp4", ("id1", "id2", "pair:p1")
    assert read_folder(root) == [
        Clip(original, f"{root}/a.mp4", 0, "real", "test", ("id1", "pair:p1")),
        Clip("corpus/swap/b.mp4", f"{root}/b.mp4", 1, "swap", "test", ids, original),
        Clip("corpus/fake/c.png", f"{root}/c.png", 1, "fake", "val", ("c.png",)),
        Clip("corpus/real/sub/d.jpg", f"{root}/sub/d.jpg", 0, "real", "train", ("id3",)),
    ]


def test_trees_give_methods_pairs_and_frames_of_one_video(tmp_path):
    write_files(
        tmp_path / "real", "000.mp4", "v1/0001.png", "v1/0002.png", "notes.txt", ".hidden.png"
    )
    write_files(tmp_path / "fake", "000.MP4", "swap/000.mp4", "swap/v1/0001.png")
    found = read_folder(tmp_path, name="mine")
    assert [(clip.key, clip.label, clip.origin_ids) for clip in found] == [
        ("mine/fake/fake/000.MP4", 1, ("000",)),
        ("mine/swap/fake/swap/000.mp4", 1, ("000",)),
        ("mine/swap/fake/swap/v1/0001.png", 1, ("v1",)),
        ("mine/real/real/000.mp4", 0, ("000",)),
        ("mine/real/real/v1/0001.png", 0, ("v1",)),
        ("mine/real/real/v1/0002.png", 0, ("v1",)),
    ]
    for source in ("000", "v1"):
        assert len({clip.split for clip in found if clip.origin_ids == (source,)}) == 1


def test_linked_folders_are_followed_once(tmp_path):
    write_files(tmp_path / "elsewhere", "a.png", "b.png")
    (tmp_path / "corpus" / "fake").mkdir(parents=True)
    (tmp_path / "corpus" / "fake" / "swap").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    found = read_folder(tmp_path / "corpus")
    assert [clip.key for clip in found] == [
        "corpus/swap/fake/swap/a.png",
        "corpus/swap/fake/swap/b.png",
    ]


def test_splits_without_a_split_column_keep_groups_pairs_and_copies_together(tmp_path):
    rows = [f"{label}{i}.png,{label},g{i // 2},p{i % 7}" for i in range(4) for label in "01"]
    rows += [f"lone{i}.png,{i % 2},," for i in range(60)]
    root = write_manifest(tmp_path, "\n".join(["path,label,group,pair", *rows]))
    (root / "lone0.png").write_bytes((root / "lone2.png").read_bytes())
    split = {clip.path.rsplit("/")[-1]: clip.split for clip in read_folder(root, seed=5)}
    assert split == {c.path.rsplit("/")[-1]: c.split for c in read_folder(root, seed=5)}
    # pairs p0..p3 join real and fake of one number, groups g0, g1 join two numbers
    assert len({split[f"{label}{i}.png"] for label in "01" for i in (0, 1)}) == 1
    assert len({split[f"{label}{i}.png"] for label in "01" for i in (2, 3)}) == 1
    for seed in range(10):
        of = {c.path.rsplit("/")[-1]: c.split for c in read_folder(root, seed=seed)}
        assert of["lone0.png"] == of["lone2.png"]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("path,label\na.png,genuine", r"line 2: label 'genuine': use real, fake, 0 or 1"),
        ("file,label\na.png,real", r"has the columns file, label: path and label are needed"),
        ("path|label\na.png|real", r"has the columns path\|label: path and label are needed"),
        ("path,label,split\na.png,real,dev", r"line 2: split 'dev': use train, val or test"),
        ("path,label\na.png,real\n./a.png,fake", r"line 3 names a.png again after line 2"),
        ("path,label\n../a.png,real", r"line 2: path '../a.png': give a file below"),
        ("path,label\n/a.png,real", r"line 2: path '/a.png': give a file below"),
        ("path,label,method\na.png,fake,real", r"line 2: a fake of method 'real'"),
        ("path,label,split\na.png,real,test\nb.png,fake,", r"b.png has no split but others"),
        ("path,label", r"has no picture or video"),
        (
            "path,label,split,group\na.png,real,train,x;y\nb.png,fake,test,y",
            r"group 'y' is in train \(a.png\) and in test \(b.png\)",
        ),
        (
            "path,label,split,pair\na.png,real,val,x\nb.png,fake,test,x",
            r"pair 'x' is in val \(a.png\) and in test \(b.png\)",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path, manifest, message):
    write_files(tmp_path, "a.png", "b.png")
    write_manifest(tmp_path, manifest, files=False)
    with pytest.raises(ValueError, match=message) as error:
        read_folder(tmp_path)
    assert "\n" not in str(error.value)


def test_the_same_bytes_in_two_splits_are_a_leak(tmp_path):
    root = write_manifest(tmp_path, "path,label,split\na.png,real,train\nb.png,real,test")
    (root / "b.png").write_bytes((root / "a.png").read_bytes())
    with pytest.raises(ValueError, match=r"same file content .* train \(a.png\) and in test"):
        read_folder(root)


def test_the_same_bytes_as_real_and_fake_are_an_error(tmp_path):
    root = write_manifest(tmp_path, "path,label\na.png,fake\nb.png,real")
    (root / "b.png").write_bytes((root / "a.png").read_bytes())
    with pytest.raises(ValueError, match=r"b.png \(real\) and a.png \(fake\) are the same file"):
        read_folder(root)


def test_missing_files_stay_in_the_list_unless_all_are_missing(tmp_path):
    root = write_manifest(tmp_path, "path,label\na.png,real\nb.png,fake", files=False)
    with pytest.raises(ValueError, match="none of the 2 files"):
        read_folder(root)
    write_files(root, "a.png")
    assert [os.path.exists(clip.path) for clip in read_folder(root)] == [True, False]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "neither manifest.csv nor a folder real or fake"),
        (["real/readme.txt", "fake/readme.txt"], "has no picture or video: add files in ."),
    ],
)
def test_a_folder_without_files_says_what_is_accepted(tmp_path, paths, message):
    write_files(tmp_path, *paths)
    with pytest.raises(ValueError, match=message):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        read_folder(tmp_path / "absent")
