"""Several datasets to train on: opened, kept apart from what is scored, and drawn from."""

import shutil

import numpy as np
import pytest

from dfjax.corpora.clip import Clip
from dfjax.data import builder, sampling
from dfjax.data.training import Training
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec

SPEC = CropSpec(size=16)


def write(path, *clips: tuple[str, int, str, str]) -> builder.Dataset:
    """A dataset of clips of one crop: name, label, split and id."""

    def crops_of(clip: Clip) -> list[dict]:
        points = np.zeros((5, 2), np.float32)
        box = np.zeros(4, np.float32)
        places = {"landmarks": points, "box": box, "scale": 1.0, "padded": 0.0, "time": 0.0}
        return [{"image": clip.key.encode(), "frame": 0, "face": 0, **places}]

    methods = ("real", "fake")
    return builder.write_dataset(
        path,
        clips=[
            Clip(f"{path.name}/{name}", "", label, methods[label], split, (origin,))
            for name, label, split, origin in clips
        ],
        crops_of=crops_of,
        size=16,
        encoding="png",
        metadata={"crop_spec": SPEC.to_json(), "corpus": path.name, "strict": None},
    )


@pytest.fixture
def own(tmp_path) -> builder.Dataset:
    return write(
        tmp_path / "own",
        ("a", 0, "train", "video:c/1"),
        ("b", 1, "train", "video:c/1"),
        ("c", 0, "val", "video:c/2"),
        ("d", 1, "test", "anna"),
    )


def test_a_dataset_of_reals_alone_adds_to_the_reals(own, tmp_path):
    write(tmp_path / "more", ("e", 0, "train", "video:c/3"), ("f", 0, "train", "anna"))
    training = Training.open(own, "train", [(f"{tmp_path}/more:train", 2)])
    assert training.weights == (1.0, 2.0)
    assert [dataset.path.name for dataset in training.further] == ["more"]
    training.require_no_leaks(("val", "test"))  # "anna" is somebody else in another corpus
    pairs = training.pairs(sampling.Sampling(), seed=0)
    drawn = [pairs[number] for number in range(9)]
    images = [[pairs.records[row]["image"] for row in (p.real, *p.others)] for p in drawn]
    reals, fakes = zip(*images, strict=True)
    assert sorted(reals) == [b"more/e"] * 3 + [b"more/f"] * 3 + [b"own/a"] * 3
    assert set(fakes) == {b"own/b"}


def test_crops_are_spread_over_the_splits_as_pairs_are_drawn(tmp_path):
    own = write(
        tmp_path / "own",
        *((f"r{i}", 0, "train", f"video:c/{i}") for i in range(40)),
        *((f"f{i}", 1, "train", f"video:c/{i}") for i in range(60)),
    )
    clips = [(f"m{i}", 0, "train", f"video:d/{i}") for i in range(100)]
    write(tmp_path / "more", *clips, ("n", 0, "val", "video:d/n"))
    write(tmp_path / "less", ("o", 1, "val", "video:e/o"))
    more = [(f"{tmp_path}/more:train", 3), (f"{tmp_path}/less:val", 0.01)]
    training = Training.open(own, "train", more)
    of_own, of_more, of_less = training.spread(80)
    labels = own.labels("train")[of_own]
    assert (len(of_own), labels.sum(), len(of_more), len(of_less)) == (49, 39, 30, 0)
    assert len(set(of_own.tolist())) == 49  # no crop comes twice
    assert np.ptp(of_more) == 99  # from the first to the last
    # No more than there are, and no class that there is not.
    assert list(map(len, training.spread(10_000))) == [100, 100, 1]
    (dataset, weight), *others = training.further_having("val")
    assert (dataset.path.name, weight, others) == ("more", 3.0, [])  # "less" is trained on it
    reals = Training.open(builder.open_dataset(tmp_path / "more"), "train", [])
    assert list(map(len, reals.spread(80))) == [80]


@pytest.mark.parametrize("split", ["val", "test"])
def test_ids_of_what_is_scored_are_refused(own, tmp_path, split):
    shared = {"val": "video:c/2", "test": "identity:c/9"}[split]
    write(tmp_path / "more", ("e", 0, "train", shared))
    write(tmp_path / "own2", ("d", 1, "test", "identity:c/9"), ("c", 0, "val", "video:c/2"))
    dataset = builder.open_dataset(tmp_path / "own2")
    training = Training.open(dataset, "val", [(f"{tmp_path}/more:train", 1)])
    with pytest.raises(UserError, match=rf"data\.more: splits share .*{shared}.*allow_leaks=True"):
        training.require_no_leaks(("val", "test"))
    training.require_no_leaks(("val",) if split == "test" else ("test",))


def test_what_cannot_be_added_is_named(own, prepared, tmp_path):
    for more, message in (
        ([(f"{prepared}:train", 1)], "size"),
        ([(f"{own.path}:train", 0)], r"own:train', 0\): use .* of a weight above 0"),
        ([f"{own.path}:train"], r"data\.more has '.*own:train': use \(\"DIR:SPLIT\", weight\)"),
        ([("own", 1)], "'own' is not a split: give DIR:SPLIT"),
    ):
        with pytest.raises(UserError, match=message):
            Training.open(own, "train", more)
    with pytest.raises(FileNotFoundError, match="holds no prepared dataset"):
        Training.open(own, "train", [(f"{tmp_path}/none:train", 1)])
    with pytest.raises(UserError, match="no split 'dev': use one of train, val, test"):
        Training.open(own, "dev", []).pairs(sampling.Sampling(), seed=0)


def test_an_index_that_is_missing_is_made_of_the_records(tmp_path):
    dataset = write(
        tmp_path / "faces",
        *((f"r{i}", 0, "train", f"video:c/{i}") for i in range(5)),
        *((f"f{i}", 1, "train", f"video:c/{i}") for i in (4, 0, 9)),
    )
    stored = dataset.index("train")
    shutil.copytree(dataset.path, tmp_path / "old")
    for name in ("index.npz", "checksums.json"):  # an earlier version wrote neither
        (builder.dataset_dir(tmp_path / "old") / name).unlink()
    old = builder.open_dataset(tmp_path / "old")
    assert old.digest != dataset.digest
    made = old.index("train")
    for name in ("label", "clip", "frame", "face", "partner", "clips", "methods", "origin_ids"):
        np.testing.assert_array_equal(getattr(made, name), getattr(stored, name), err_msg=name)
    # What a fake was made from is not in the records, but its first id is that of the original.
    links = dict(zip(made.clips.tolist(), made.originals.tolist(), strict=True))
    assert {key: original for key, original in links.items() if original} == {
        "faces/f0": "faces/r0",
        "faces/f4": "faces/r4",
    }


def test_an_index_that_is_damaged_is_refused(own, tmp_path):
    file = builder.dataset_dir(own.path) / "index.npz"
    arrays = dict(np.load(file))
    (file.parent / "checksums.json").unlink()  # it would tell before anything is opened
    np.savez(file, **arrays | {"train/frame": np.zeros(9, np.int32)})
    with pytest.raises(UserError, match=r"\(index.npz: \(9,\) frame for the 2 records\): prepare"):
        builder.open_dataset(own.path).index("train")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"cannot read \(index.npz: .*: prepare it again"):
        builder.open_dataset(own.path).index("train")
