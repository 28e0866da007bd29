import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from dfjax.corpora.clip import Clip
from dfjax.data import builder
from dfjax.faces.crop_spec import CropSpec

SPEC = CropSpec(size=16)


def crops_of(clip: Clip) -> list[dict]:
    """Two frames, the second with two faces; pictures that name their place."""
    return [
        {
            "image": f"{clip.key}#{frame}#{face}".encode(),
            "frame": frame,
            "face": face,
            "landmarks": np.full((5, 2), frame + 0.5, np.float32),
            "box": np.array([1, 2, 3, 4], np.float32),
            "scale": 0.25,
            "padded": 0.5,
        }
        for frame, face in ((0, 0), (7, 0), (7, 1))
    ]


def clips(count: int) -> list[Clip]:
    return [
        Clip(f"c/{method}/{i}", f"{i}.mp4", label, method, split, ("a", "pair:b"))
        for i in range(count)
        for label, method in enumerate(("real", "swap"))
        for split in [("train", "test")[i % 2]]
    ]


def write(path, some_clips) -> None:
    builder.write_dataset(
        path,
        clips=some_clips,
        crops_of=crops_of,
        size=16,
        encoding="png",
        metadata={"crop_spec": SPEC.to_json(), "note": 1},
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    write(path, clips(4))
    return path


def test_records_come_back_as_they_were_written(data_dir):
    dataset = builder.open_dataset(data_dir)
    assert dataset.crop_spec == SPEC
    assert (dataset.metadata["note"], dataset.metadata["format"]) == (1, 2)
    assert not dataset.boxes_from_original
    source = dataset.records("train")
    records = {record["image"].decode(): record for record in map(source.__getitem__, range(12))}
    assert len(source) == len(records) == 12
    record = records["c/swap/2#7#1"]
    assert record["landmarks"].dtype == record["box"].dtype == np.float32
    assert record.pop("landmarks").tolist() == [[7.5, 7.5]] * 5
    assert record.pop("box").tolist() == [1, 2, 3, 4]
    assert record == {
        "image": b"c/swap/2#7#1",
        "frame": 7,
        "face": 1,
        "scale": 0.25,
        "padded": 0.5,
        "label": 1,
        "clip": "c/swap/2",
        "method": "swap",
        "origin_ids": "a;pair:b",
    }
    assert {record["label"] for name, record in records.items() if "/real/" in name} == {0}


def test_a_column_is_a_small_field_of_every_record(data_dir):
    dataset = builder.open_dataset(data_dir)
    source = dataset.records("test")
    records = [source[index] for index in range(12)]
    for name, kind in (("scale", "f"), ("label", "i"), ("frame", "i"), ("clip", "U")):
        column = dataset.column("test", name)
        assert column.dtype.kind == kind
        assert column.tolist() == [record[name] for record in records]
    assert len(set(dataset.column("test", "clip"))) == 4
    assert dataset.column("test", "box").tolist() == [[1, 2, 3, 4]] * 12
    for name in ("image", "landmarks", "size"):
        with pytest.raises(ValueError, match=f"no column '{name}': use one of frame, face, box"):
            dataset.column("test", name)


def test_a_source_travels_to_worker_processes(data_dir):
    source = builder.open_dataset(data_dir).records("test")
    there = pickle.loads(pickle.dumps(source))  # noqa: S301
    assert there[3]["image"] == source[3]["image"]


def test_shards_depend_on_the_records_and_not_on_the_order_of_clips(data_dir, tmp_path):
    write(tmp_path, clips(4)[::-1])

    def digest(path):
        files = sorted(builder.dataset_dir(path).glob("*.array_record*"))
        return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]

    assert len(digest(tmp_path)) == 2
    assert digest(tmp_path) == digest(data_dir)


def test_what_a_killed_run_left_is_removed_and_nothing_else_appears(tmp_path):
    leftover = builder.dataset_dir(tmp_path).parent / "incomplete.ABC_1.0.0"
    leftover.mkdir(parents=True)
    write(tmp_path, clips(1))
    assert [path.name for path in tmp_path.iterdir()] == ["face_crops"]
    assert [path.name for path in leftover.parent.iterdir()] == ["1.0.0"]


def test_tfds_finds_the_dataset_by_name_and_reading_leaves_tensorflow_unloaded(data_dir):
    program = f"""
import sys
import tensorflow_datasets as tfds
from dfjax.data import builder
decoders = {{"image": tfds.decode.SkipDecoding()}}
loaded = tfds.data_source("face_crops", data_dir={str(data_dir)!r}, decoders=decoders)
ours = builder.open_dataset({str(data_dir)!r}).records("test")
assert [record["image"] for record in loaded["test"]] == [ours[i]["image"] for i in range(12)]
assert "tensorflow" not in sys.modules and "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_absent_data_and_absent_splits_say_what_to_do(data_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match="run dfjax prepare --out"):
        builder.open_dataset(tmp_path)
    with pytest.raises(ValueError, match="no split 'val': use one of train, test"):
        builder.open_dataset(data_dir).records("val")
