"""Scores of the crops of a prepared split: every record exactly once, on any number of hosts."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from dfjax import logistic, pooling, sharding
from dfjax.data import builder, pipeline


@dataclasses.dataclass(frozen=True)
class Scores:
    """One row per crop, in the order of the dataset.

    Attributes:
      index, frame, face: int [N]; the record, the frame of its clip, the face in its frame.
      time: float [N], seconds from the start of the clip; NaN: a picture.
      clip, method, origin_ids: N texts.
      label: int [N], 0 real, 1 fake.
      logit: float64 [N]; `score` is P(fake).
      strangeness: float64 [N], how unlike the training data; NaN: the model has no gate.
      attention: float64 [N], how much the face counts in its clip, as a logarithm; NaN: the model
        has learned nothing of that.
      box: float [N, 4], of the face in pixels of the frame.
      scale: float [N], crop pixels per frame pixel.
      padded: float [N], the share of the crop beyond the frame.
      brightness, sharpness: float [N], see `faces.quality`.
      bits_per_pixel: float [N], of the stored crop.
      temperature: what logits are divided by before they become scores.
      pooling: one of `pooling.RULES`: how the crops of a clip become one score.
    """

    index: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    time: np.ndarray
    face: np.ndarray
    method: np.ndarray
    origin_ids: np.ndarray
    label: np.ndarray
    logit: np.ndarray
    strangeness: np.ndarray
    attention: np.ndarray
    box: np.ndarray
    scale: np.ndarray
    padded: np.ndarray
    brightness: np.ndarray
    sharpness: np.ndarray
    bits_per_pixel: np.ndarray
    temperature: float = 1.0
    pooling: str = "mean"

    @property
    def score(self) -> np.ndarray:
        return logistic.to_score(self.logit, self.temperature)

    @property
    def weight(self) -> np.ndarray:
        """How much each crop counts in the score of its clip, float64 [N], above 0."""
        return pooling.weights(self.pooling, self.score, self.attention)

    def __len__(self) -> int:
        return len(self.index)


_SETTINGS = ("temperature", "pooling")  # of all rows
_COLUMNS = tuple(field.name for field in dataclasses.fields(Scores) if field.name not in _SETTINGS)


@dataclasses.dataclass(frozen=True)
class FrameScorer:
    """A model and the devices that it runs on.

    Attributes:
      predict: from (variables, crops uint8 [B, S, S, 3] split over the mesh) to arrays [B] by name
        (`familiarity.gate.predict`).
      mesh: all devices of all processes.
      batch_size: crops at a time over all of them.
      reading: how records are read.
      pooling: that of the scores.
    """

    predict: Callable[[Any, jax.Array], dict[str, jax.Array]]
    mesh: Mesh
    batch_size: int
    reading: pipeline.Reading
    pooling: str = "mean"

    def __post_init__(self):
        sharding.check_batch_size("eval.batch_size", self.batch_size, self.mesh)

    def scores(
        self,
        variables: Any,
        records: builder.Records,
        on_batch: Callable[[int], None] = lambda num_done: None,
    ) -> Scores:
        """Returns the scores of every record, the same on every process.

        `on_batch` is called with the number of records done.
        """
        rows: list[dict[str, Any]] = []
        pending = None
        stream = pipeline.eval_stream(
            records,
            batch_size=self.batch_size,
            reading=self.reading,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        for number, batch in enumerate(stream, 1):
            image = sharding.put_batch({"image": batch.pop("image")}, self.mesh)["image"]
            outputs = self.predict(variables, image)
            # One batch late, so that reading never makes the device wait.
            if pending is not None:
                rows.extend(_rows(*pending))
            pending = batch, outputs
            on_batch(min(number * self.batch_size, len(records)))
        if pending is not None:
            rows.extend(_rows(*pending))
        gathered = [row for part in sharding.gather_json(rows) for row in part]
        gathered.sort(key=lambda row: row["index"])
        columns = {key: np.array([row[key] for row in gathered]) for key in _COLUMNS}
        return Scores(**columns, pooling=self.pooling)


def _rows(batch: dict[str, Any], outputs: dict[str, jax.Array]) -> Iterator[dict[str, Any]]:
    unknown = np.full(len(batch["mask"]), np.nan)
    found = {name: sharding.local_rows(each).astype(np.float64) for name, each in outputs.items()}
    columns = {**batch, "strangeness": unknown, "attention": unknown, **found}
    for number in np.flatnonzero(batch["mask"]):
        row = {key: columns[key][number] for key in _COLUMNS}
        # Plain Python, so that it travels between processes as JSON.
        yield {k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()}
