"""Prepared crops to batches, with Grain.

The order of the operations is what makes resume and host count a non-issue. Everything up to the
batch is random access by index, so "start at step n" is a slice and needs no saved iterator;
what is drawn for an example comes before the batch, so it depends on its index alone. Each process
takes a contiguous block of the global batch: pairs, microbatches and dropout masks, which belong to
places in the batch, are then the same for any number of processes.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import grain
import numpy as np
from absl import flags

from dfjax.data import sampling, stall, transforms
from dfjax.data.degrade import Degrade


@dataclasses.dataclass(frozen=True)
class Reading:
    """How records are read; what is read does not depend on it.

    Attributes:
      num_workers: processes; 0 reads in threads of this one.
      num_threads: threads where there are no processes.
      prefetch: batches kept ready, of each process where there are some.
    """

    num_workers: int = 0
    num_threads: int = 1
    prefetch: int = 1


class Padded:
    """A source extended to `length` rows; rows beyond its end repeat row 0 with mask 0.

    Every row gains `index` and `mask`, so that batches of equal size on every process still count
    each record exactly once.
    """

    def __init__(self, source: Any, length: int):
        self._source, self._length = source, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        real = index < len(self._source)
        record = self._source[index if real else 0]
        return {**record, "index": index, "mask": np.float32(real)}


def train_stream(
    pairs: sampling.Pairs,
    *,
    batch_size: int,
    image_size: int,
    degrade: Degrade,
    seed: int,
    start: int,
    reading: Reading,
    process_index: int,
    process_count: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches from step `start` on, each of B rows that are B / 2 pairs.

    Row 2i is real, and row 2i + 1 its fake, or what is to be blended onto the real:

        image      uint8 [B, S, S, 3], side S = `image_size`
        label      int32 [B], 0 and 1 in turn
        kind       int32 [B], position in `sampling.KINDS`
        aligned    bool [B], a forgery that shows the frame and the box of the real next to it
        landmarks  float32 [B, L, 2], (x, y) by the side of the crop: pixel i is at (i + .5) / S
        index      int32 [B], number of the pair from the start of training

    B is this process's share of `batch_size`: rows [p * B, (p + 1) * B) of the global batch in
    process p. The same (seed, step) gives the same global batch for any number of processes,
    workers and threads.
    """
    records = stall.Watched(pairs.records, "training record")
    dataset = (
        grain.MapDataset.source(pairs)
        .seed(seed)
        .random_map(transforms.TrainPair(records, image_size, degrade))
        .batch(batch_size // process_count // 2, drop_remainder=True, batch_fn=_join)[
            process_index::process_count
        ]
        .slice(slice(start, None))
    )
    return _iterate(dataset, reading)


def eval_stream(
    source: Any,
    *,
    batch_size: int,
    reading: Reading,
    process_index: int,
    process_count: int,
) -> Iterator[dict[str, Any]]:
    """Batches that cover every record once: the record's fields, `index` and `mask` [B].

    Images are uint8 [B, S, S, 3] as stored, numbers arrays [B], texts lists of B strings. Every
    process gets the same number of batches, each the process's block of a global batch as in
    `train_stream`; rows with mask 0 are padding.
    """
    length = -(-len(source) // batch_size) * batch_size
    local = batch_size // process_count
    dataset = (
        grain.MapDataset.source(Padded(stall.Watched(source, "record"), length))
        .map(transforms.decode_record)
        .batch(local, drop_remainder=True, batch_fn=_stack)[process_index::process_count]
    )
    return _iterate(dataset, reading)


def _iterate(dataset: grain.MapDataset, reading: Reading) -> Iterator[dict[str, Any]]:
    # The parallelism is across examples; OpenCV's own threads would only fight over the cores.
    cv2.setNumThreads(0)
    if reading.num_workers:
        # Grain reads absl's flags here, which refuse that before some program has parsed them.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=reading.prefetch)
        workers = grain.MultiprocessingOptions(
            reading.num_workers, per_worker_buffer_size=reading.prefetch
        )
        stream = dataset.to_iter_dataset(options)
        return iter(stream.mp_prefetch(workers, worker_init_fn=_init_worker))
    # The buffer counts elements, and an element is a batch here.
    options = grain.ReadOptions(
        num_threads=reading.num_threads, prefetch_buffer_size=reading.prefetch
    )
    return iter(dataset.to_iter_dataset(options))


def _init_worker(worker_index: int, worker_count: int) -> None:
    cv2.setNumThreads(0)
    stall.end_with_parent()


def _join(pairs: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([pair[name] for pair in pairs]) for name in pairs[0]}


def _stack(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        key: values if isinstance(values[0], str) else np.stack(values)
        for key, values in columns.items()
    }
