"""Prepared crops to batches, with Grain.

The order of the operations is what makes resume and host count a non-issue. Everything up to the
batch is random access by index, so "start at step n" is a slice and needs no saved iterator;
augmentation comes before the batch, so it depends on the example's index alone. Each process takes
a contiguous block of the global batch: pairs of a real and a fake, microbatches and dropout masks,
which belong to places in the batch, are then the same for any number of processes.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import grain
import numpy as np

from dfjax.data import transforms
from dfjax.data.degrade import Degrade
from dfjax.errors import UserError


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


class Subset:
    """The rows `indices` of a random-access source."""

    def __init__(self, source: Any, indices: np.ndarray):
        self._source, self._indices = source, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._source[int(self._indices[index])]

    @property
    def labels(self) -> np.ndarray:
        """The labels of these rows, int32 [N]."""
        return self._source.labels[self._indices]


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
    source: Any,
    *,
    batch_size: int,
    image_size: int,
    degrade: Degrade,
    augment: transforms.Augment,
    seed: int,
    start: int,
    reading: Reading,
    process_index: int,
    process_count: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches from step `start` on: `image` uint8 [B, S, S, 3] and `label` int32 [B].

    `source` is a random-access sequence of records that has their `labels`, int32 [N]. B is this
    process's share of `batch_size`: rows [p * B, (p + 1) * B) of the global batch in process p.
    Real and fake alternate, each from its own shuffled, endlessly repeated list, so
    every batch is balanced whatever the corpus is. The same (seed, step) gives the same global
    batch for any number of processes, workers and threads.

    Raises:
      UserError: the source lacks a class.
    """
    label = source.labels
    classes = []
    for value, name in ((0, "real"), (1, "fake")):
        indices = np.flatnonzero(label == value)
        if not len(indices):
            raise UserError(f"training needs both classes, and none of {len(label)} is {name}")
        rows = grain.MapDataset.source(Subset(source, indices))
        classes.append(rows.seed(2 * seed + value).shuffle().repeat())
    dataset = (
        grain.MapDataset.mix(classes)
        .seed(seed)
        .random_map(transforms.TrainExample(image_size, degrade, augment))
        .batch(batch_size // process_count, drop_remainder=True)[process_index::process_count]
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
        grain.MapDataset.source(Padded(source, length))
        .map(transforms.decode_record)
        .batch(local, drop_remainder=True, batch_fn=_stack)[process_index::process_count]
    )
    return _iterate(dataset, reading)


def _iterate(dataset: grain.MapDataset, reading: Reading) -> Iterator[dict[str, Any]]:
    # The parallelism is across examples; OpenCV's own threads would only fight over the cores.
    cv2.setNumThreads(0)
    if reading.num_workers:
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


def _stack(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        key: values if isinstance(values[0], str) else np.stack(values)
        for key, values in columns.items()
    }
