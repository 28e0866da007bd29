"""The data order: a function of (seed, step) and of nothing else."""

import dataclasses
import itertools

import numpy as np
import pytest
from absl import flags

from dfjax import config, steps
from dfjax.data import builder, pipeline, sampling, transforms
from dfjax.data.degrade import Degrade
from dfjax.media import image as media_image

NO_DEGRADE = Degrade(**config.base().degrade)
DEGRADE = dataclasses.replace(NO_DEGRADE, probability=0.5)


def _train(
    source,
    count,
    *,
    batch_size=8,
    start=0,
    process=(0, 1),
    workers=0,
    seed=3,
    degrade=DEGRADE,
    threads=2,
):
    stream = pipeline.train_stream(
        sampling.Pairs([source], sampling.Sampling(), seed=seed),
        batch_size=batch_size,
        image_size=32,
        degrade=degrade,
        seed=seed,
        start=start,
        reading=pipeline.Reading(workers, threads, prefetch=2),
        process_index=process[0],
        process_count=process[1],
    )
    batches = list(itertools.islice(stream, count))
    stream.close()
    return batches


def _eval(source, *, batch_size=8, process=(0, 1), workers=0):
    return list(
        pipeline.eval_stream(
            source,
            batch_size=batch_size,
            reading=pipeline.Reading(workers, num_threads=2, prefetch=2),
            process_index=process[0],
            process_count=process[1],
        )
    )


def _assert_equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


@pytest.fixture(scope="module")
def source(prepared):
    dataset = builder.open_dataset(prepared)
    return sampling.Part(dataset.records("train"), dataset.index("train"))


@pytest.fixture(scope="module")
def ten_batches(source):
    return _train(source, 10)  # three times through the 24 pictures


@pytest.mark.parametrize("start", [1, 5])
def test_starting_at_a_step_continues_the_same_stream(source, ten_batches, start):
    _assert_equal(_train(source, 10 - start, start=start), ten_batches[start:])


def test_workers_and_threads_change_nothing(source, ten_batches):
    _assert_equal(_train(source, 4, start=2, workers=2), ten_batches[2:6])
    _assert_equal(_train(source, 3, threads=1), ten_batches[:3])


@pytest.fixture(scope="module")
def wide_batches(source):
    return _train(source, 3, batch_size=24)


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_processes_hold_blocks_of_the_same_global_batches(source, wide_batches, processes):
    blocks = [
        _train(source, 2, batch_size=24, start=1, process=(index, processes))
        for index in range(processes)
    ]
    for whole, *parts in zip(wide_batches[1:], *blocks, strict=True):
        for part in parts:  # each process reads both classes
            assert np.bincount(part["label"]).tolist() == [12 // processes] * 2
        _assert_equal([{k: np.concatenate([p[k] for p in parts]) for k in whole}], [whole])


@pytest.mark.parametrize("grad_accum_steps", [1, 2, 4])
def test_microbatches_hold_as_many_fakes_as_reals(wide_batches, grad_accum_steps):
    for batch in wide_batches:
        batch = {name: batch[name] for name in ("image", "label")}
        microbatches = steps.split_microbatches(batch, grad_accum_steps)
        assert microbatches["image"].shape == (grad_accum_steps, 24 // grad_accum_steps, 32, 32, 3)
        assert microbatches["label"].sum(1).tolist() == [12 // grad_accum_steps] * grad_accum_steps


def test_batches_are_balanced_and_cover_each_class_once_per_epoch(source):
    assert np.bincount(source.index.label).tolist() == [12, 12]
    seen = []
    for batch in _train(source, 3, degrade=NO_DEGRADE):
        assert batch["image"].shape == (8, 32, 32, 3)
        assert batch["label"].sum() == 4
        seen.extend(row.tobytes() for row in batch["image"])
    assert len(set(seen)) == 24


def test_seed_changes_order_and_augmentation(source, ten_batches):
    other = _train(source, 1, seed=4)[0]
    assert (other["image"] != ten_batches[0]["image"]).any()


def test_rows_of_a_batch_are_pairs_and_say_what_they_are(prepared):
    """Blended, each real comes with a real: the same, as no clip here has a second crop."""
    dataset = builder.open_dataset(prepared)
    records, index = dataset.records("train"), dataset.index("train")
    part = sampling.Part(_WithLandmarks(records), index)
    pairs = sampling.Pairs([part], sampling.Sampling(share=0.5, neighbour=0.5), seed=3)
    stream = pipeline.train_stream(
        pairs,
        batch_size=16,
        image_size=20,
        degrade=NO_DEGRADE,
        seed=3,
        start=2,
        reading=pipeline.Reading(num_threads=2),
        process_index=1,
        process_count=2,
    )
    batch = next(stream)
    expected = [pairs[number] for number in range(20, 24)]  # the second half of batch 2
    kinds = [pair.kind for pair in expected]
    assert set(kinds) == {sampling.FORGERY, sampling.SELF_BLEND}
    assert batch["label"].tolist() == [0, 1] * 4
    assert batch["kind"].tolist() == np.repeat(kinds, 2).tolist()
    assert batch["index"].tolist() == np.repeat(range(20, 24), 2).tolist()
    assert batch["aligned"].tolist() == [False] * 8
    rows = [row for pair in expected for row in (pair.real, *pair.others)]
    for image, landmarks, row in zip(batch["image"], batch["landmarks"], rows, strict=True):
        whole = media_image.decode_image(records[row]["image"])
        np.testing.assert_array_equal(image, transforms.resize(whole, 20))
        # In 40 pixels, the centre of pixel (row, 0) is at (row + .5, .5).
        np.testing.assert_allclose(landmarks, [[(row + 0.5) / 40, 0.5 / 40]], rtol=1e-6)


class _WithLandmarks:
    """Records with a landmark that is their number."""

    def __init__(self, records):
        self._records = records

    def __len__(self):
        return len(self._records)

    def __getitem__(self, row):
        return {**self._records[row], "landmarks": np.array([[row, 0]], np.float32)}


def test_of_several_faces_the_one_most_like_the_real_is_blended(prepared):
    dataset = builder.open_dataset(prepared)
    records = _WithLandmarks(dataset.records("train"))
    pair = sampling.Pair(0, sampling.CROSS_BLEND, 5, (1, 20, 4, 9))
    made = transforms.TrainPair(records, 40, NO_DEGRADE)(pair, np.random.default_rng(0))
    chosen = media_image.decode_image(records[4]["image"])
    np.testing.assert_array_equal(made["image"][1], chosen)


@pytest.mark.parametrize(("batch_size", "processes"), [(8, 1), (8, 2), (4, 4), (32, 2)])
def test_evaluation_counts_every_record_once(prepared, batch_size, processes):
    source = builder.open_dataset(prepared).records("val")
    parts = [_eval(source, batch_size=batch_size, process=(p, processes)) for p in range(processes)]
    assert len({len(part) for part in parts}) == 1  # no process waits for another for ever
    batches = [batch for blocks in zip(*parts, strict=True) for batch in blocks]
    order = np.concatenate([b["index"] for b in batches])
    np.testing.assert_array_equal(order, np.arange(len(order)))  # blocks of one global order
    counted = np.concatenate([b["index"][b["mask"] > 0] for b in batches])
    assert sorted(counted) == list(range(11))
    assert all(b["image"].shape == (batch_size // processes, 40, 40, 3) for b in batches)
    clips = {b["index"][i]: b["clip"][i] for b in batches for i in np.flatnonzero(b["mask"])}
    assert clips == {i: source[i]["clip"] for i in range(11)}


def test_evaluation_is_the_same_with_worker_processes(prepared):
    flags.FLAGS.unparse_flags()  # Grain reads them, and no command of dfjax has to parse any
    source = builder.open_dataset(prepared).records("val")
    _assert_equal(_eval(source), _eval(source, workers=2))


def test_shrinking_averages_areas():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    expected = image.reshape(16, 2, 16, 2, 3).mean((1, 3))
    assert np.abs(transforms.resize(image, 16) - expected).max() <= 0.5
