"""Embeddings that a frozen backbone made once, on disk: what a head is trained on, step by step.

The folder `features` of a workdir holds rows in their order: those of the first pairs of the run,
or, where clips are trained on, those of the training data.

    features.npy   float32 [N, C], as `steps.embed` makes them of crops
    labels.npy     float32 [N]
    progress.json  `backbone`, a digest of what made them, and `rows`, how many are there

What is beyond `rows` is not there yet: a process may end at any moment.
"""

import json
import pathlib
from collections.abc import Iterator

import grain
import jax
import numpy as np

from dfjax import files

FOLDER = "features"


class FeatureCache:
    """The embeddings and labels of N rows; of pairs, 2i and 2i + 1 are those of pair i."""

    def __init__(self, workdir: pathlib.Path, *, rows: int, channels: int, backbone: str):
        """Opens what is there, if the backbone of this digest made it; else begins anew.

        Raises:
          UserError: the disk has no room.
        """
        self._folder = workdir / FOLDER
        self.channels = channels
        self._note = {"backbone": backbone, "shape": [rows, channels]}
        self.num_rows, self.done = rows, self._read_progress()
        is_new = not self.done
        if is_new:
            size = 4 * rows * (channels + 1)
            files.require_space(workdir, size, f"the embeddings of {rows} crops")
            self._folder.mkdir(parents=True, exist_ok=True)
        self._stored = self._open("features", (rows, channels), is_new=is_new)
        self._labels = self._open("labels", (rows,), is_new=is_new)

    def append(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Stores the next rows, [B, C] and [B]."""
        end = self.done + len(labels)
        self._stored[self.done : end], self._labels[self.done : end] = features, labels
        self._stored.flush()
        self._labels.flush()
        self.done = end
        files.replace_json(self._folder / "progress.json", {**self._note, "rows": end})

    def abstract_batch(self, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of a batch."""
        return {
            "image": jax.ShapeDtypeStruct((batch_size, self.channels), np.float32),
            "label": jax.ShapeDtypeStruct((batch_size,), np.float32),
        }

    def batches(self, *, batch_size: int, seed: int, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Endless batches from step `start` on: `image`, the embeddings [B, C], and `label` [B].

        Pairs come in a shuffled order, all of them once before any again; the batch of a step is a
        function of (seed, step).
        """
        step = start
        while True:
            pairs = self.pairs_of(step, batch_size=batch_size, seed=seed)
            rows = (2 * np.array(pairs)[:, None] + [0, 1]).ravel()
            yield {"image": self.features(rows), "label": self._labels[rows]}
            step += 1

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Returns the embeddings [..., C] of rows [...]."""
        return self._stored[rows]

    def pairs_of(self, step: int, *, batch_size: int, seed: int) -> list[int]:
        """Returns the numbers of the pairs in the batch of a step."""
        order = grain.MapDataset.range(self.num_rows // 2).seed(seed).shuffle().repeat()
        size = batch_size // 2
        return [order[n] for n in range(step * size, (step + 1) * size)]

    def _read_progress(self) -> int:
        file = self._folder / "progress.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        rows = found.pop("rows", 0)
        return rows if found == self._note else 0

    def _open(self, name: str, shape: tuple[int, ...], *, is_new: bool) -> np.memmap:
        mode = "w+" if is_new else "r+"
        return np.lib.format.open_memmap(
            self._folder / f"{name}.npy", mode=mode, dtype=np.float32, shape=shape
        )
