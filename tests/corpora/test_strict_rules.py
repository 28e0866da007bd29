"""`strict`: whatever the corpus, nothing that an audit counts is in two splits."""

import collections
import itertools

import pytest

from dfjax import corpora, registry
from dfjax.corpora import splits, strict_rules
from dfjax.corpora.clip import Clip
from dfjax.data import leaks
from tests.corpora import trees


@pytest.fixture(autouse=True)
def _registered():
    corpora.register_all()


def shared(clips):
    """How many ids of each kind are in two splits, as training counts them."""
    parts = [leaks.Part(split, number, "") for number, split in enumerate(splits.SPLITS)]
    rows = ((splits.SPLITS.index(clip.split), clip.key, clip.origin_ids) for clip in clips)
    return collections.Counter(leak.kind for leak in leaks.shared_ids(rows, parts))


def classes(clips):
    return {(clip.split, clip.label) for clip in clips}


BOTH = {(split, label) for split in ("train", "val") for label in (0, 1)}


def write_celebdf(root, folder, *, people, tested, group=4):
    """Two videos a person, each forged with the others of a group; some are in the test list."""
    lines = ["1 YouTube-real/00000.mp4"]
    trees.write_tree(root, *(f"YouTube-real/{number:05}.mp4" for number in range(20)))
    for a, number in itertools.product(range(people), range(2)):
        trees.write_tree(root, f"Celeb-real/id{a}_{number:04}.mp4")
        for b in range(a - a % group, a - a % group + group):
            if b != a:
                name = f"{folder}/id{a}_id{b}_{number:04}.mp4"
                trees.write_tree(root, name)
                lines += [f"0 {name}"] if a in tested and number == 0 else []
    trees.write_labels(root, {"List_of_testing_videos.txt": "\n".join(lines)})
    return root


@pytest.mark.parametrize("group", [4, 24])
@pytest.mark.parametrize(
    ("corpus", "folder"),
    [
        ("celebdf_v1", "Celeb-synthesis"),
        ("celebdf_v2", "Celeb-synthesis"),
        ("celebdf_pp", "Celeb-synthesis/FaceSwap/SimSwap"),
    ],
)
def test_celebdf_can_be_trained_on_whether_groups_are_small_or_large(
    tmp_path, corpus, folder, group, caplog
):
    """A third of the people are tested; in one large group, every other person is forged with."""
    write_celebdf(tmp_path, folder, people=24 + 2 * group, tested=range(group), group=group)
    official = registry.build("corpus", corpus, root=tmp_path)
    assert shared(official)["identity"] > 0
    strict = registry.build("corpus", corpus, root=tmp_path, strict=True)
    assert not shared(strict)
    assert classes(strict) > BOTH
    assert not [message for message in caplog.messages if "--strict leaves no" in message]
    tested = [clip.key for clip in official if clip.split == "test"]
    assert [clip.key for clip in strict if clip.split == "test"] == tested
    weak = registry.build("corpus", corpus, root=tmp_path, strict="videos")
    assert set(shared(weak)) == {"identity"}
    assert len(strict) < len(weak) < len(official)


def test_a_class_that_strict_takes_away_is_counted_with_what_to_do(tmp_path, caplog):
    write_celebdf(tmp_path, "Celeb-synthesis", people=8, tested=range(8))
    assert not shared(registry.build("corpus", "celebdf_v2", root=tmp_path, strict=True))
    assert (
        "celebdf_v2: --strict leaves no fake clip in train and no fake clip in val (of train 17 "
        "real and 0 fake, val 2 real and 0 fake, test 1 real and 24 fake): use --strict videos, "
        "which lets people be in two splits, or train on another corpus"
    ) in caplog.messages
    caplog.clear()
    weak = registry.build("corpus", "celebdf_v2", root=tmp_path, strict="videos")
    assert classes(weak) > BOTH
    assert not [message for message in caplog.messages if "--strict leaves no" in message]


@pytest.mark.parametrize("faces", ["few", "ring"])
def test_dfdcp_deals_val_by_people_though_donors_connect_all(tmp_path, faces, caplog):
    """Four faces are put into all actors of train, or every actor's into the next one's video."""
    entries = {}
    for actor, number in itertools.product(range(100, 140), range(2)):
        split = "test" if actor < 108 else "train"
        first, last = (100, 107) if split == "test" else (108, 139)
        face = first + actor % 4 if faces == "few" else actor + 1 if actor < last else first
        common = {"set": split, "target_id": str(actor)}
        name = f"{actor}_A_{number:03}.mp4"
        entries[f"original_videos/{actor}/{name}"] = {"label": "real", **common}
        fake = {"label": "fake", "swapped_id": face, **common}
        entries[f"method_A/{actor}/{actor}_A/{face}_{name}"] = fake
    trees.write_tree(tmp_path, *entries)
    trees.write_labels(tmp_path, {"dataset.json": entries})
    strict = registry.build("corpus", "dfdcp", root=tmp_path, strict=True)
    assert not shared(strict)
    assert classes(strict) > BOTH
    counts = collections.Counter((clip.split, clip.label) for clip in strict)
    assert 4 <= counts["val", 0] <= 24
    assert len([m for m in caplog.messages if "they join people of train and val" in m]) <= 1


def test_deepfakebench_deals_a_missing_val_by_people(tmp_path):
    """As its file of Celeb-DF v2: val has what test has, so that it is dealt from train."""
    labels = {"CelebDFv2_real": {}, "CelebDFv2_fake": {}}
    for a in range(24):
        names = {f"id{a}_0000": "real"} | {
            f"id{a}_id{b}_0000": "fake" for b in range(a - a % 4, a - a % 4 + 4) if b != a
        }
        for name, kind in names.items():
            folder = "Celeb-real" if kind == "real" else "Celeb-synthesis"
            frame = f"Celeb-DF-v2/{folder}/frames/{name}/000.png"
            trees.write_tree(tmp_path, frame)
            label = f"CelebDFv2_{kind}"
            for split in ("train", "val", "test") if a < 4 else ("train",):
                entry = {"label": label, "frames": [frame]}
                labels[label].setdefault(split, {})[name] = entry
    trees.write_labels(tmp_path, {"dataset_json/Celeb-DF-v2.json": {"Celeb-DF-v2": labels}})
    strict = registry.build("corpus", "deepfakebench", root=tmp_path, strict=True)
    assert not shared(strict)
    assert classes(strict) > BOTH


def test_df40_deals_val_by_people(tmp_path):
    trees.write_tree(
        tmp_path,
        *(f"DF40_train/{m}/cdf/frames/id{a}_id{(a + 1) % 12}_0000/0.png"
          for m in ("simswap", "lia") for a in range(12)),
        "DF40/fomm/cdf/frames/id20_id21_0000/0.png",
    )  # fmt: skip
    strict = registry.build("corpus", "df40", root=tmp_path, strict=True)
    assert not shared(strict)
    assert {split for split, _ in classes(strict)} == {"train", "val", "test"}


def test_lists_of_ones_own_are_freed_of_what_they_share(tmp_path):
    for split, names in {
        "train": ["a-real/000", "fake/001_002", "a-real/004"],
        "test": ["fake/000_003", "a-real/001"],
    }.items():
        frames = [f"set/{name}/0.png" for name in names]
        trees.write_tree(tmp_path, *frames)
        trees.write_labels(tmp_path, {f"{split}.txt": "\n".join(frames)})
    assert shared(registry.build("corpus", "pathlist", root=tmp_path)) == {"video": 2}
    strict = registry.build("corpus", "pathlist", root=tmp_path, strict=True)
    assert [(clip.key.rpartition("/")[2], clip.split) for clip in strict] == [
        ("000_003", "test"), ("001", "test"), ("004", "train"),
    ]  # fmt: skip


def test_people_are_dealt_whole_and_the_fakes_between_them_dropped(caplog):
    """Twenty people in a ring of fakes, and forty videos of others."""
    clips = [
        Clip(f"c/y{n}", "", 0, "real", "train", (f"video:c/y{n}",)) for n in range(40)
    ]  # fmt: skip
    for a in range(20):
        own = (f"video:c/{a}", f"identity:c/{a}")
        clips.append(Clip(f"c/r{a}", "", 0, "real", "train", own))
        donor = f"identity:c/{(a + 1) % 20}"
        clips.append(Clip(f"c/f{a}", "", 1, "swap", "train", (*own, donor)))
    dealt = strict_rules.deal_val("c", clips, True, seed=0, shares=(0.8, 0.2, 0))
    counts = collections.Counter((clip.split, clip.label) for clip in dealt)
    # An arc of four of the twenty people: three fakes within it, and one cut at each of its ends.
    assert counts == {
        ("train", 0): 16 + 32, ("val", 0): 4 + 8, ("train", 1): 15, ("val", 1): 3,
    }  # fmt: skip
    assert not shared(dealt)
    (message,) = caplog.messages
    assert message.startswith("c: 2 fakes left out: they join people of train and val: c/f")
    assert dealt == strict_rules.deal_val("c", clips, True, seed=0, shares=(0.8, 0.2, 0))
    assert dealt != strict_rules.deal_val("c", clips, True, seed=1, shares=(0.8, 0.2, 0))


def test_the_few_fakes_of_two_people_stay_together_rather_than_be_lost(caplog):
    """As in Celeb-DF v2, of which strict leaves four fakes."""
    clips = [Clip(f"c/y{n}", "", 0, "real", "train", (f"video:c/y{n}",)) for n in range(40)]
    for a, b in ((0, 1), (1, 0)):
        own = (f"video:c/{a}", f"identity:c/{a}")
        clips.append(Clip(f"c/r{a}", "", 0, "real", "train", own))
        clips.append(Clip(f"c/f{a}", "", 1, "swap", "train", (*own, f"identity:c/{b}")))
    dealt = strict_rules.deal_val("c", clips, True, seed=0, shares=(0.8, 0.2, 0))
    counts = collections.Counter((clip.split, clip.label) for clip in dealt)
    assert counts == {("train", 0): 34, ("train", 1): 2, ("val", 0): 8}
    assert caplog.messages == [
        "c: --strict leaves no fake clip in val (of train 34 real and 2 fake, val 8 real and 0 "
        "fake, test 0 real and 0 fake): use --strict videos, which lets people be in two splits, "
        "or train on another corpus"
    ]


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="strict 'people': use True, False or 'videos'"):
        strict_rules.keep_splits("c", [], "people")
