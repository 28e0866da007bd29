import pytest

from dfjax.corpora.picture_groups import Picture, group_pictures


def grouped(*paths: str, label: int = 0) -> list[str]:
    """The groups of pictures "folder/stem"; without a folder, they lie in that of the class."""
    pictures = []
    for path in paths:
        folder, _, stem = path.rpartition("/")
        pictures.append(Picture(label, folder, bool(folder), stem))
    return group_pictures(pictures)


@pytest.mark.parametrize(
    "names",
    [
        ["0001", "0002", "0010"],
        ["clip_001", "clip_004"],
        [*(f"frame{number}" for number in range(20)), "cover"],
        ["0001_0", "0001_1", "0002_0"],  # two faces
        ["id0_id1_0007_12", "id0_id1_0007_13"],
    ],
)
def test_names_that_run_on_are_frames_of_one_video(names):
    assert set(grouped(*(f"v/{name}" for name in names))) == {"v"}


@pytest.mark.parametrize(
    "names",
    [
        ["anna", "ben", "cleo"],
        ["3f2a9c", "77e01b", "a19d0e"],
        ["anna", "ben", "IMG_1", "IMG_2", "IMG_7"],
        ["2021-01-05 12.30.11", "2022-03-09 08.11.59", "2020-11-30 23.01.07"],
    ],
)
def test_other_pictures_of_a_folder_stand_alone(names):
    assert grouped(*(f"v/{name}" for name in names)) == [f"v/{name}" for name in names]


def test_folders_stay_whole_where_that_costs_nothing():
    """Such as folders of people: three of them can be parted, two cannot."""
    people = [f"{person}/{name}" for person in ("anna", "ben") for name in ("party", "selfie")]
    assert grouped(*people) == people
    assert grouped(*people, "cleo/x", "cleo/y") == [
        *(2 * ["anna"]),
        *(2 * ["ben"]),
        *(2 * ["cleo"]),
    ]
    # One that holds most of a class is not kept whole; the others still are.
    large = [f"cleo/{name}" for name in "abcdefgh"]
    assert grouped(*people, *large) == ["anna", "anna", "ben", "ben", *large]


def test_pictures_beside_each_other_are_grouped_by_what_is_before_their_number():
    frames = [f"clip{video}_{frame:03}" for video in range(3) for frame in range(4)]
    assert grouped(*frames) == [f"clip{video}" for video in range(3) for _ in range(4)]
    stills = [f"{number:05}" for number in range(9)]
    assert grouped(*stills) == stills
    portraits = [f"real_{number}" for number in range(9)]
    assert grouped(*portraits) == portraits


def test_a_real_and_a_fake_of_one_name_get_one_group():
    """Even where the names in one class alone would say something else."""
    places = [(0, "v/0001"), (0, "v/0002"), (0, "w/x"), (1, "v/0001"), (1, "w/x"), (1, "w/y")]
    pictures = [
        Picture(label, folder, True, stem)
        for label, (folder, _, stem) in ((label, path.rpartition("/")) for label, path in places)
    ]
    assert group_pictures(pictures) == ["v", "v", "w/x", "v", "w/x", "w/y"]


def test_what_was_grouped_is_said(caplog):
    grouped("v/1", "v/2", "a/x", "a/y", "b/x", "b/y", "c/x", "c/y")
    assert caplog.messages == [
        "folder: 1 folders of pictures are taken for the frames of one video each, as their names "
        "run on (manifest.csv can say otherwise): v",
        "folder: 3 series of pictures stay together, by their folders or names (manifest.csv can "
        "say otherwise): a, b, c",
    ]
