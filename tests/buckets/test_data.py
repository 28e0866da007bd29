"""Prepared data in a store are those of a folder, and come as they are read."""

import itertools
import json

import fsspec
import numpy as np
import pytest

from dfjax import cli, config
from dfjax.buckets import store
from dfjax.corpora import folder as folder_corpus
from dfjax.data import builder, pipeline, sampling
from dfjax.data.degrade import Degrade
from dfjax.errors import UserError
from dfjax.faces.crop_spec import CropSpec
from dfjax.media import image
from dfjax.preparation import prepare
from dfjax.preparation.settings import Settings

SPEC = CropSpec(crops="as-is", detector="none", landmarks=0, size=40, encoding="png")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for number in range(16):
        (root / f"{number}.png").write_bytes(
            image.encode_image(rng.integers(0, 255, (40, 40, 3), np.uint8), "png")
        )
        rows.append(f"{number}.png,{number % 2},{'train' if number < 10 else 'test'}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder_corpus.read_folder(root, seed=0)


@pytest.fixture
def url(bucket, clips) -> str:
    prepare.prepare(clips, f"{bucket}/data", Settings(SPEC))
    return f"{bucket}/data"


def _shards(path) -> list:
    return sorted(builder.dataset_dir(path).glob("[!.]*array_record*"))


def test_what_is_prepared_there_is_what_is_prepared_here(url, clips, tmp_path, other_machine):
    here = tmp_path / "here"
    prepare.prepare(clips, here, Settings(SPEC))
    local = builder.open_dataset(here)
    cache = other_machine()
    there = builder.open_dataset(url)
    assert (there.name, there.place) == (url, url)
    assert there.digest == local.digest
    assert there.splits == local.splits == ("train", "test")
    assert _shards(there.path) == []  # nothing was read yet
    for split in there.splits:
        np.testing.assert_array_equal(there.labels(split), local.labels(split))
    assert [record["image"] for record in map(there.records("test").__getitem__, range(6))] == [
        record["image"] for record in map(local.records("test").__getitem__, range(6))
    ]
    (shard,) = _shards(there.path)
    assert "-test." in shard.name
    assert cache in shard.parents
    there.fill()
    assert there.column("train", "clip").tolist() == local.column("train", "clip").tolist()


def test_loaders_in_processes_share_the_copy(url, other_machine):
    other_machine()
    dataset = builder.open_dataset(url)
    part = sampling.Part(dataset.records("train"), dataset.index("train"))
    stream = pipeline.train_stream(
        sampling.Pairs([part], sampling.Sampling(), seed=0),
        batch_size=4,
        image_size=32,
        degrade=Degrade(**config.base().degrade),
        seed=0,
        start=0,
        reading=pipeline.Reading(num_workers=2, prefetch=1),
        process_index=0,
        process_count=1,
    )
    batches = list(itertools.islice(stream, 3))
    stream.close()
    assert [batch["image"].shape for batch in batches] == [(4, 32, 32, 3)] * 3
    assert len(_shards(dataset.path)) == 1


def _objects(url: str) -> list[str]:
    fs, root = fsspec.core.url_to_fs(url)
    return sorted(fs.find(root))


def test_a_corrupted_object_is_named(url, other_machine):
    other_machine()
    (shard,) = (name for name in _objects(url) if "-train." in name)
    fs = fsspec.core.url_to_fs(url)[0]
    content = bytearray(fs.cat_file(shard))
    content[len(content) // 2] ^= 1
    fs.pipe_file(shard, bytes(content))
    dataset = builder.open_dataset(url)
    assert dataset.records("test")[0]["label"] in (0, 1)
    with pytest.raises(UserError, match=r"train\.array_record.* is damaged: its SHA-256"):
        dataset.records("train")[0]


def test_what_is_not_finished_is_not_there(url, other_machine):
    other_machine()
    fs = fsspec.core.url_to_fs(url)[0]
    (last,) = (name for name in _objects(url) if name.endswith("checksums.json"))
    fs.rm(last)
    with pytest.raises(FileNotFoundError, match="holds no prepared dataset that is finished"):
        builder.open_dataset(url)


def test_other_data_there_are_not_replaced_unasked(url, clips, other_machine):
    prepare.prepare(clips, url, Settings(SPEC))  # the same, here: nothing to do
    other_machine()
    with pytest.raises(UserError, match="not made here: choose another --out or add --overwrite"):
        prepare.prepare(clips, url, Settings(SPEC))
    before = json.loads(store.Folder(url).read("face_crops/1.0.0/checksums.json"))
    prepare.prepare(clips[:-2], url, Settings(SPEC), overwrite=True)
    after = json.loads(store.Folder(url).read("face_crops/1.0.0/checksums.json"))
    assert before != after
    dataset = builder.open_dataset(url)
    assert sum(len(dataset.labels(split)) for split in dataset.splits) == 14


def test_workers_of_a_pipeline_write_there_themselves(bucket, clips, tmp_path, other_machine):
    pytest.importorskip("apache_beam")
    here, url = tmp_path / "here", f"{bucket}/beam"
    prepare.prepare(clips, here, Settings(SPEC))
    cache = other_machine()
    made = prepare.prepare(clips, url, Settings(SPEC), beam_options=["--runner=FnApiRunner"])
    assert (made.is_new, made.num_crops) == (True, 16)
    beside = {name for name in store.Folder(url).sizes() if "/" not in name}
    assert {"audit.json", "dataset_card.html", "errors.jsonl"} <= beside
    assert not store.Folder(url).sizes("work")
    assert not list(cache.rglob("crops"))
    there, local = builder.open_dataset(url), builder.open_dataset(here)
    for split in local.splits:
        images = [
            {
                record["clip"]: record["image"]
                for record in map(records.__getitem__, range(len(records)))
            }
            for records in (there.records(split), local.records(split))
        ]
        assert images[0] == images[1]
    again = prepare.prepare(clips, url, Settings(SPEC), beam_options=["--runner=FnApiRunner"])
    assert not again.is_new
    with pytest.raises(UserError, match=r"was made with .* instead of .*: ask for"):
        prepare.prepare(clips[1:], url, Settings(SPEC), beam_options=["--runner=FnApiRunner"])


def test_verify_reads_what_is_in_a_store_and_changes_nothing(url, capsys):
    assert cli.main(["verify", url]) == 0
    assert "all as they were written" in capsys.readouterr().out
    there = store.Folder(url)
    shard = next(name for name in there.sizes() if "test.array_record" in name)
    content = bytearray(there.read(shard))
    content[len(content) // 2] ^= 1
    there.write(shard, bytes(content))
    labels = next(name for name in there.sizes() if name.endswith("labels.npz"))
    there.remove(labels)
    before = there.sizes()
    assert cli.main(["verify", url]) == 1
    captured = capsys.readouterr()
    assert f"{url}/{shard} is damaged: its SHA-256" in captured.err
    assert f"{url}/{labels} is missing" in captured.err
    assert "2 damaged" in captured.out
    assert there.sizes() == before
    assert cli.main(["verify", f"{url}/nothing"]) == 1
    assert "holds neither prepared data nor checkpoints" in capsys.readouterr().err
