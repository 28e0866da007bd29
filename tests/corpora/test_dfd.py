import pytest

from dfjax.corpora import dfd
from dfjax.corpora.clip import Clip
from tests.corpora import trees

REAL = "original_sequences/actors/c23/videos"
FAKE = "manipulated_sequences/DeepFakeDetection/c23/videos"


FILES = (
    f"{REAL}/24__outside_talking_still_laughing.mp4",
    f"{REAL}/01__exit_phone_room.mp4",
    f"{REAL}/071.mp4",
    f"{FAKE}/24_23__outside_talking_still_laughing__YR5OVD4S.mp4",
    f"{FAKE}/24_23__outside_talking_still_laughing__U2EH3ZCZ.mp4",
    f"{FAKE}/09_01__exit_phone_room__9TDCEK1Q.mp4",
    "original_sequences/youtube/c23/videos/071.mp4",
    "manipulated_sequences/Deepfakes/c23/videos/071_054.mp4",
)


def test_the_clips_are_exactly_these_and_all_are_test(tmp_path, caplog):
    def clip(name, origin_ids, original=""):
        method, tree = ("DeepFakeDetection", FAKE) if origin_ids[2:] else ("real", REAL)
        return Clip(
            f"dfd/{method}/{tree}/{name}.mp4", f"{tmp_path}/{tree}/{name}.mp4",
            int(method != "real"), method, "test", origin_ids, original,
        )  # fmt: skip

    laughing, people = "video:dfd/24__outside_talking_still_laughing", "identity:dfd/"
    original = f"dfd/real/{REAL}/24__outside_talking_still_laughing.mp4"
    both = (laughing, f"{people}24", f"{people}23")
    absent = ("video:dfd/09__exit_phone_room", f"{people}09", f"{people}01")
    assert dfd.read_dfd(trees.write_tree(tmp_path, *FILES)) == [
        clip("09_01__exit_phone_room__9TDCEK1Q", absent),
        clip("24_23__outside_talking_still_laughing__U2EH3ZCZ", both, original),
        clip("24_23__outside_talking_still_laughing__YR5OVD4S", both, original),
        clip("01__exit_phone_room", ("video:dfd/01__exit_phone_room", f"{people}01")),
        clip("24__outside_talking_still_laughing", (laughing, f"{people}24")),
    ]
    assert caplog.messages == [
        "dfd: 1 clips of original_sequences/actors left out: their names are not DFD's: 071",
        "dfd: real c23: 2 of 363 clips",
        "dfd: DeepFakeDetection c23: 3 of 3,068 clips",
        "dfd: 1 of 3 fakes were made from videos that are not here: only fakes show those: "
        f"dfd/DeepFakeDetection/{FAKE}/09_01__exit_phone_room__9TDCEK1Q.mp4",
    ]


def test_a_tree_without_fakes_is_refused(tmp_path):
    trees.write_tree(tmp_path, *FILES)
    with pytest.raises(ValueError, match="has no original_sequences/actors in raw: download it"):
        dfd.read_dfd(tmp_path, compression="raw")
