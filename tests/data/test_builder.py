import dataclasses
import functools
import hashlib
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dfjax import checksums
from dfjax.corpora.clip import Clip
from dfjax.data import builder, face_crops
from dfjax.errors import UserError
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
            "time": 0.5,
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


def write(path, some_clips) -> builder.Dataset:
    return builder.write_dataset(
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
        "time": 0.5,
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


@pytest.mark.parametrize("num_shards", [1, 3])
def test_the_stored_labels_are_those_of_the_records_in_order(tmp_path, monkeypatch, num_shards):
    config = functools.partial(tfds.download.DownloadConfig, num_shards=num_shards)
    monkeypatch.setattr(tfds.download, "DownloadConfig", config)
    dataset = write(tmp_path, clips(8))
    assert len(list(builder.dataset_dir(tmp_path).glob("*test.array_record*"))) == num_shards
    for split in ("train", "test"):
        records = dataset.records(split)
        labels = [records[index]["label"] for index in range(24)]
        assert 1 < np.abs(np.diff(labels)).sum() < 23  # neither sorted nor alternating
        assert dataset.labels(split).dtype == np.int32
        assert dataset.labels(split).tolist() == records.labels.tolist() == labels


def test_labels_are_known_without_reading_a_record(data_dir, monkeypatch):
    monkeypatch.setattr(builder.Records, "__getitem__", None)
    dataset = builder.open_dataset(data_dir)
    assert sorted(dataset.labels("test")) == sorted(dataset.column("test", "label"))
    assert sorted(dataset.labels("test")) == [0] * 6 + [1] * 6


def remove(file):
    file.unlink()


def cut(file):
    file.write_bytes(file.read_bytes()[:-30])


def flip_a_label(file):
    data = bytearray(file.read_bytes())
    data[data.index(b"\n", data.index(b"NUMPY")) + 1] ^= 1  # after the header of the first array
    file.write_bytes(data)


def leave_out_a_label(file):
    np.savez(file, train=np.zeros(12, np.int32), test=np.zeros(11, np.int32))


def leave_out_a_split(file):
    np.savez(file, train=np.zeros(12, np.int32))


def copy_without_checksums(data_dir, target):
    """As an earlier version left it: nothing says what the files should be."""
    shutil.copytree(data_dir, target, dirs_exist_ok=True)
    (builder.dataset_dir(target) / checksums.FILE).unlink()


@pytest.mark.parametrize("spoil", [remove, cut, flip_a_label, leave_out_a_label, leave_out_a_split])
def test_labels_that_are_missing_or_do_not_fit_are_refused(data_dir, tmp_path, spoil):
    copy_without_checksums(data_dir, tmp_path)
    spoil(builder.dataset_dir(tmp_path) / face_crops.LABELS_FILE)
    with pytest.raises(UserError, match=r"cannot read \(labels\.npz: .*\): prepare it again"):
        builder.open_dataset(tmp_path)


def test_a_damaged_description_is_refused(data_dir, tmp_path):
    copy_without_checksums(data_dir, tmp_path)
    (builder.dataset_dir(tmp_path) / "dataset_info.json").write_text('{"name": ')
    with pytest.raises(UserError, match=r"cannot read \(dataset_info\.json: .*: prepare it again"):
        builder.open_dataset(tmp_path)


def test_the_digest_is_that_of_the_records_and_changes_with_a_label(data_dir, tmp_path):
    dataset = builder.open_dataset(data_dir)
    again = builder.open_dataset(data_dir)
    assert (dataset, hash(dataset)) == (again, hash(again))
    elsewhere = write(tmp_path / "elsewhere", clips(4)[::-1])
    assert elsewhere.digest == dataset.digest
    assert elsewhere != dataset  # another folder
    first, *others = clips(4)
    changed = write(tmp_path / "changed", [dataclasses.replace(first, label=1), *others])
    assert changed.digest != dataset.digest


def test_a_source_travels_to_worker_processes(data_dir):
    source = builder.open_dataset(data_dir).records("test")
    there = pickle.loads(pickle.dumps(source))  # noqa: S301
    assert there.labels.tolist() == source.labels.tolist()
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
from dfjax.data import builder, face_crops
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
