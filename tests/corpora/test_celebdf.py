import pytest

from dfjax.corpora import celebdf, forms
from dfjax.corpora.clip import Clip
from tests.corpora import trees

# id1 and id0 are in the test list, id2 and id3 are not, id4 is only by the face put on id5.
FILES = (
    "Celeb-real/id0_0001",
    "Celeb-real/id1_0007",
    "Celeb-real/id2_0000",
    "YouTube-real/00170",
    "YouTube-real/00171",
    "Celeb-synthesis/id1_id0_0007",
    "Celeb-synthesis/id5_id4_0000",
    "Celeb-synthesis/id2_id3_0000",
    "Celeb-synthesis/id2_id4_0000",
)
LIST = """\
1 YouTube-real/00170.mp4
1\tCeleb-real/id1_0007.mp4
0 Celeb-synthesis/id1_id0_0007.mp4
0 Celeb-synthesis/id5_id4_0000.mp4
"""


def write_tree(root, files=FILES, text=LIST, *, nested="", rename=("", "")):
    for name in files:
        folder, stem = name.replace(*rename).rsplit("/", 1)
        trees.write_tree(root, f"{folder}/{nested}/{stem}.mp4")
    return trees.write_labels(root, {celebdf.TEST_LIST: text})


def test_the_clips_are_exactly_these(tmp_path, caplog):
    found = celebdf.read_celebdf_v2(write_tree(tmp_path), shares=(1, 0, 0))

    def clip(name, split, origin_ids, original=""):
        method = "Celeb-synthesis" if "synthesis" in name else "real"
        return Clip(
            f"celebdf_v2/{method}/{name}.mp4", f"{tmp_path}/{name}.mp4", int(method != "real"),
            method, split, origin_ids, original and f"celebdf_v2/real/Celeb-real/{original}.mp4",
        )  # fmt: skip

    def ids(video, *people):
        return (f"video:celebdf/{video}", *(f"identity:celebdf/{person}" for person in people))

    assert found == [
        clip("Celeb-synthesis/id1_id0_0007", "test", ids("id1_0007", "id1", "id0"), "id1_0007"),
        clip("Celeb-synthesis/id2_id3_0000", "train", ids("id2_0000", "id2", "id3"), "id2_0000"),
        clip("Celeb-synthesis/id2_id4_0000", "train", ids("id2_0000", "id2", "id4"), "id2_0000"),
        clip("Celeb-synthesis/id5_id4_0000", "test", ids("id5_0000", "id5", "id4")),
        clip("Celeb-real/id0_0001", "train", ids("id0_0001", "id0")),
        clip("Celeb-real/id1_0007", "test", ids("id1_0007", "id1")),
        clip("Celeb-real/id2_0000", "train", ids("id2_0000", "id2")),
        clip("YouTube-real/00170", "test", ids("youtube/00170")),
        clip("YouTube-real/00171", "train", ids("youtube/00171")),
    ]
    assert caplog.messages == [
        "celebdf_v2: List_of_testing_videos.txt: 4 of 518 clips",
        "celebdf_v2: Celeb-real: 3 of 590 clips",
        "celebdf_v2: YouTube-real: 2 of 300 clips",
        "celebdf_v2: Celeb-synthesis: 4 of 5,639 clips",
        "celebdf_v2: 1 of 4 fakes were made from videos that are not here: only fakes show those: "
        "celebdf_v2/Celeb-synthesis/Celeb-synthesis/id5_id4_0000.mp4",
    ]
    assert [clip.orphan for clip in found] == [False] * 3 + [True] + [False] * 5


def test_strict_leaves_no_person_of_the_test_list_in_train(tmp_path):
    found = celebdf.read_celebdf_v2(write_tree(tmp_path), shares=(1, 0, 0), strict=True)
    assert [clip.path.rsplit("/")[-1] for clip in found if clip.split == "train"] == [
        "id2_id3_0000.mp4", "id2_0000.mp4", "00171.mp4",
    ]  # fmt: skip
    assert len([clip for clip in found if clip.split == "test"]) == 4


@pytest.mark.parametrize("nested", ["", "videos"])
@pytest.mark.parametrize("rename", [("YouTube-real", "Youtube-real"), ("Celeb-real", "celeb_real")])
def test_other_spellings_and_nestings_give_the_same_clips(tmp_path, nested, rename):
    clean = celebdf.read_celebdf_v1(write_tree(tmp_path / "clean"))
    other = celebdf.read_celebdf_v1(write_tree(tmp_path / "other", nested=nested, rename=rename))

    def facts(clips):
        return {(c.path.rsplit("/")[-1], c.label, c.split, c.origin_ids) for c in clips}

    if nested:  # The draw of val is by keys, which name the folders.
        other = [c for c in other if c.split == "test"]
        clean = [c for c in clean if c.split == "test"]
    assert facts(other) == facts(clean)
    assert len(other) == (4 if nested else len(FILES))


def test_val_keeps_an_original_with_its_fakes(tmp_path):
    files = [f"Celeb-real/id{i}_0000" for i in range(20)]
    files += [f"Celeb-synthesis/id{i}_id{(i + k) % 20}_0000" for i in range(20) for k in (1, 2, 3)]
    write_tree(tmp_path, files, "1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n")
    splits = {}
    for clip in celebdf.read_celebdf_v2(tmp_path, seed=3):
        if "/id0_" not in clip.path:
            splits.setdefault(clip.origin_ids[0], set()).add(clip.split)
    assert len(splits) == 19
    assert sorted(map(sorted, splits.values())) == [["train"]] * 17 + [["val"]] * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "0 Celeb-real/id1_0007.mp4",
            "line 5 gives 0 to Celeb-real/id1_0007.mp4: 1 is real and 0 is fake in",
        ),
        ("1 Celeb-synthesis/id1_id0_0007.mp4", "line 5 gives 1 to Celeb-synthesis/id1_id0_0007"),
        ("real Celeb-real/id1_0007.mp4", "gives real to"),
        ("1 Celeb-fake/id1_0007.mp4", "is not in a folder of this corpus"),
        ("1 ../Celeb-real/id1_0007.mp4", "paths start at the folder of the corpus"),
    ],
)
def test_a_test_list_that_contradicts_the_folders_stops_the_import(tmp_path, line, message):
    write_tree(tmp_path, text=f"{LIST}{line}\n")
    with pytest.raises(ValueError, match=message) as error:
        celebdf.read_celebdf_v2(tmp_path)
    assert "\n" not in str(error.value)


def test_what_is_missing_or_foreign_is_said(tmp_path, caplog):
    write_tree(tmp_path, text=f"{LIST}1 YouTube-real/00999.mp4\n")
    (tmp_path / "Celeb-synthesis/0001_fake.mp4").touch()
    assert len(celebdf.read_celebdf_v2(tmp_path)) == len(FILES)
    assert (
        "celebdf_v2: 1 clips of List_of_testing_videos.txt are missing: YouTube-real/00999"
    ) in caplog.messages
    assert (
        f"celebdf_v2: 1 clips of {tmp_path}/Celeb-synthesis left out: their names are not "
        "Celeb-DF's: 0001_fake"
    ) in caplog.messages
    (tmp_path / "List_of_testing_videos.txt").unlink()
    with pytest.raises(ValueError, match=r"List_of_testing_videos.txt is missing"):
        celebdf.read_celebdf_v2(tmp_path)


PP_FILES = (
    "Celeb-real/id0_0001",
    "YouTube-real/00170",
    "Celeb-synthesis/FaceSwap/Celeb-DF-v2/id0_id1_0001",
    "Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0001",
    "Celeb-synthesis/FaceReenact/MCNET/id0_id2_0001",
    "Celeb-synthesis/TalkingFace/SadTalker/id0_0001_test_0004",
)
PP_LIST = """\
1 YouTube-real/00170.mp4
0 Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0001.mp4
0 Celeb-synthesis/FaceSwap/Celeb-DF/id0_id1_0001.mp4
"""


def test_celebdf_pp_has_a_method_for_every_folder_of_fakes(tmp_path):
    write_tree(tmp_path, PP_FILES, PP_LIST)
    found = celebdf.read_celebdf_pp(tmp_path, shares=(1, 0, 0))
    video, real = "video:celebdf/id0_0001", "celebdf_pp/real/Celeb-real/id0_0001.mp4"
    people = [f"identity:celebdf/id{number}" for number in range(3)]
    assert [
        (c.key.split("/", 2)[2], c.method, c.split, c.origin_ids, c.original) for c in found
    ] == [
        (f"{PP_FILES[2]}.mp4", "Celeb-DF", "test", (video, people[0], people[1]), real),
        (f"{PP_FILES[4]}.mp4", "MCNET", "train", (video, people[0], people[2]), real),
        (f"{PP_FILES[5]}.mp4", "SadTalker", "train", (video, people[0]), real),
        (f"{PP_FILES[3]}.mp4", "SimSwap", "test", (video, people[0], people[1]), real),
        (f"{PP_FILES[0]}.mp4", "real", "train", (video, people[0]), ""),
        (f"{PP_FILES[1]}.mp4", "real", "test", ("video:celebdf/youtube/00170",), ""),
    ]
    chosen = celebdf.read_celebdf_pp(tmp_path, methods=["SimSwap"])
    assert {clip.method for clip in chosen} == {"real", "SimSwap"}
    with pytest.raises(ValueError, match="methods Sim: use some of AniTalker, BlendFace"):
        celebdf.read_celebdf_pp(tmp_path, methods=["Sim"])


def test_the_reals_of_the_test_list_are_told_apart(tmp_path):
    found = celebdf.list_test_reals(write_tree(tmp_path))
    assert found == {
        "Celeb-real": {forms.Copy("videos"): {"id1_0007": f"{tmp_path}/Celeb-real/id1_0007.mp4"}},
        "YouTube-real": {forms.Copy("videos"): {"00170": f"{tmp_path}/YouTube-real/00170.mp4"}},
    }
