import itertools
import os
import pathlib
import unicodedata

import pytest

from dfjax.corpora import splits
from dfjax.corpora.clip import Clip
from dfjax.corpora.folder import read_folder


def write_files(root: pathlib.Path, *paths: str) -> None:
    """Every file gets bytes of its own."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(path))


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
    clips = read_folder(root)
    assert [dict(clip.attributes)["comment"] for clip in clips] == ["", "x", "", "y"]
    assert clips == [
        Clip(original, f"{root}/a.mp4", 0, "real", "test", ("id1", "pair:p1")),
        Clip("corpus/swap/b.mp4", f"{root}/b.mp4", 1, "swap", "test", ids, original),
        Clip("corpus/fake/c.png", f"{root}/c.png", 1, "fake", "val", ("c.png",)),
        Clip("corpus/real/sub/d.jpg", f"{root}/sub/d.jpg", 0, "real", "train", ("id3",)),
    ]


def test_pictures_of_a_pair_are_told_apart_by_their_frames(tmp_path):
    root = write_manifest(
        tmp_path / "corpus",
        """
        path,label,pair,frame,same_frame
        r1.png,0,p,10,
        r2.png,0,p,20.0,
        a.png,1,p,20,1.0
        b.png,1,p,24,0
        c.png,1,p,24,
        d.png,1,q,10,
        """,
    )
    found = {pathlib.Path(clip.path).name: clip for clip in read_folder(root)}
    assert {name: (clip.original, clip.frame, clip.same_frame) for name, clip in found.items()} == {
        "a.png": ("corpus/real/r2.png", 20, True),
        "b.png": ("corpus/real/r2.png", 24, False),
        "c.png": ("", 24, True),
        "d.png": ("", 10, True),
        "r1.png": ("", 10, True),
        "r2.png": ("", 20, True),
    }
    for row, message in (
        ("a.png,1,p,-1,", "frame '-1' of a.png: give the number"),
        ("a.mp4,1,p,7,", "frame '7' of a.mp4: give the number .* and none of a video"),
        ("a.png,1,p,,yes", "same_frame 'yes': use 0, 1 or nothing"),
    ):
        write_manifest(root, f"path,label,pair,frame,same_frame\n{row}")
        with pytest.raises(ValueError, match=message):
            read_folder(root)


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "rows",
    [
        "path,label\nclips/a.jpg,real\nclips/b.jpg,fake\nclips/ä.jpg,fake\n",
        "path;label\r\nclips\\a.jpg;REAL\r\nclips\\b.jpg;FAKE\r\nclips\\ä.jpg;1\r\n;\r\n;\r\n",
        "Path\tLabel\rclips\\a.jpg\t0.0\rclips\\b.jpg\t1.0\rclips\\ä.jpg\t1.0\r\t\r",
        '# mine\n"path","label"\n"clips/a.jpg","0"\n# "\n"clips/b.jpg","1"\n"clips/ä.jpg","1"\n',
    ],
)
def test_a_manifest_is_read_as_any_system_saves_it(tmp_path, rows, encoding):
    names = ["a", "b", unicodedata.normalize("NFD", "ä")]
    write_files(tmp_path, *(f"clips/{name}.jpg" for name in names))
    (tmp_path / "manifest.csv").write_bytes(rows.encode(encoding))
    found = read_folder(tmp_path, name="mine")
    assert {clip.path: clip.label for clip in found} == {
        f"{tmp_path}/clips/{name}.jpg": label for name, label in zip(names, (0, 1, 1), strict=True)
    }


def test_names_that_are_not_utf8_are_paths_but_not_keys(tmp_path):
    old = os.fsdecode(b"caf\xe9")
    write_files(tmp_path, f"real/{old}.mp4", f"fake/{old}/{old}.mp4", "real/a.mp4", "fake/b.mp4")
    by_key = {clip.key: clip for clip in read_folder(tmp_path, name="mine")}
    assert set(by_key) == {
        "mine/real/real/a.mp4",
        "mine/fake/fake/b.mp4",
        r"mine/real/real/caf\xe9.mp4",
        r"mine/caf\xe9/fake/caf\xe9/caf\xe9.mp4",
    }
    for name in ("real/real", r"caf\xe9/fake/caf\xe9"):
        clip = by_key[rf"mine/{name}/caf\xe9.mp4"]
        assert os.path.exists(clip.path)
        assert clip.origin_ids == (r"caf\xe9",)
    manifest = "path,label\nreal/café.mp4,real\nfake/b.mp4,fake\n"
    (tmp_path / "manifest.csv").write_bytes(manifest.encode("latin-1"))
    assert [clip.path for clip in read_folder(tmp_path)] == [
        f"{tmp_path}/fake/b.mp4",
        f"{tmp_path}/real/{old}.mp4",
    ]


def test_accents_tie_files_however_they_are_written(tmp_path):
    write_files(tmp_path, "real/caf\u00e9.mp4", "fake/cafe\u0301.mp4")
    assert {clip.origin_ids for clip in read_folder(tmp_path)} == {("caf\u00e9",)}


@pytest.mark.parametrize(
    "place",
    [
        "{train}/{real}/{}",
        "x/{train}/{real}/{}",
        "{real}/{train}/{}",
        "{train}_{real}/{}",
        "{train}/0_{real}/{}",
        "{train} set/{real} images/{}",
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        ["train", "val", "test", "real", "fake"],
        ["Training", "Valid", "TESTING", "Real", "FAKE"],
        ["train", "validation", "test", "REAL", "Fake"],
    ],
)
def test_folders_of_splits_are_the_splits(tmp_path, place, words):
    """The same names in each split, as those who number their files have them, are no leak."""
    expected = {
        place.format(name, train=split, real=label): (number // 2, number % 2)
        for number, (split, label) in enumerate(itertools.product(words[:3], words[3:]))
        for name in ("0001.png", "0002.png")
    }
    write_files(tmp_path, *expected)
    assert {
        os.path.relpath(clip.path, tmp_path): (splits.SPLITS.index(clip.split), clip.label)
        for clip in read_folder(tmp_path)
    } == expected


def test_methods_are_found_below_the_splits(tmp_path):
    write_files(tmp_path, "train/real/a.mp4", "train/fake/swap/a.mp4", "test/fake/swap/new/b.mp4")
    found = [(clip.split, clip.method, clip.origin_ids) for clip in read_folder(tmp_path)]
    assert found == [
        ("test", "swap", ("test/new/b",)),
        ("train", "swap", ("train/a",)),
        ("train", "real", ("train/a",)),
    ]


@pytest.mark.parametrize(
    "names", [("Real", "Fake"), ("REAL", "fake videos"), ("real_images", "1_Fake")]
)
def test_folders_of_classes_in_any_spelling(tmp_path, names):
    write_files(tmp_path, f"{names[0]}/a.mp4", f"{names[1]}/b.mp4", "deepfakes/c.mp4", "d.mp4")
    assert {os.path.basename(clip.path): clip.label for clip in read_folder(tmp_path)} == {
        "a.mp4": 0,
        "b.mp4": 1,
    }


def test_what_lies_beside_the_classes_is_said_and_what_is_both_refused(tmp_path, caplog):
    write_files(tmp_path, "real/a.mp4", "fake/b.mp4", "deepfakes/c.mp4", "old/real/d.mp4")
    assert len(read_folder(tmp_path)) == 2
    assert (
        "folder: 2 folders beside real and fake are not read: deepfakes, old/real"
        in caplog.messages
    )
    write_files(tmp_path, "fake/swap/real/e.mp4")
    with pytest.raises(ValueError, match="fake/swap/real says real and fake: move what is in it"):
        read_folder(tmp_path)


def test_a_class_that_is_one_video_is_said_to_be_missing_in_splits(tmp_path, caplog):
    write_files(tmp_path, *(f"real/photos/real_{number}.png" for number in range(12)))
    write_files(tmp_path, *(f"fake/photos/fake_{number}.png" for number in range(12)))
    found = read_folder(tmp_path)
    assert {clip.split for clip in found if not clip.label} == {"train"}
    assert {clip.split for clip in found if clip.label} == {"train", "val", "test"}
    assert caplog.messages == [
        "folder: 1 folders of pictures are taken for the frames of one video each, as their names "
        "run on (manifest.csv can say otherwise): photos",
        "folder: 2 splits get no real file: the 12 form too few groups that may be parted (if they "
        "are unrelated, list them in manifest.csv): test, val",
    ]
    caplog.clear()
    names = ["anna", "beach", "ben at work", "IMG 7", "party", "selfie_new"]
    for label in ("real", "fake"):
        write_files(tmp_path / "unrelated", *(f"{label}/x/photos/{name}.png" for name in names))
    found = read_folder(tmp_path / "unrelated")
    assert {(clip.label, clip.split) for clip in found} == {
        (label, split) for label in (0, 1) for split in ("train", "val", "test")
    }
    assert caplog.messages == []
