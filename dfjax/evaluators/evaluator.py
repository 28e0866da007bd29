"""Scoring a prepared split with a model: what training logs and what `evaluate` reports."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from dfjax import metrics, sharding
from dfjax.data import pipeline
from dfjax.evaluators import frame, video

_COLUMNS = tuple(
    field.name for field in dataclasses.fields(frame.Scores) if field.name != "temperature"
)


class Evaluator:
    """Scores a source with a model; `run` yields what a training run logs of it.

    Every record counts exactly once on any number of devices and processes.
    """

    def __init__(
        self,
        name: str,
        source: Any,
        *,
        predict: Callable[[Any, jax.Array], jax.Array],
        mesh: Mesh,
        batch_size: int,
        **stream: Any,
    ):
        sharding.check_batch_size("eval.batch_size", batch_size, mesh)
        self.name = name
        self._source, self._predict, self._mesh = source, predict, mesh
        self._stream = {"batch_size": batch_size, **stream}

    def run(self, variables: Any) -> Iterator[tuple[str, float]]:
        """(name/metric, value) of all threshold-free metrics, per crop and per video."""
        scores = self.scores(variables)
        for key, value in metrics.ranking_metrics(scores.label, scores.score).items():
            yield f"{self.name}/{key}", value
        videos = video.clip_scores(scores).videos
        if set(videos.label.tolist()) == {0, 1}:
            yield f"{self.name}/video_auc", metrics.auc(videos.label, videos.score)

    def scores(self, variables: Any, on_batch: Callable[[int], None] | None = None) -> frame.Scores:
        """The scores of every record, the same on every process.

        `on_batch` is told how many records are done.
        """
        rows: list[dict[str, Any]] = []
        waiting = None
        stream = pipeline.eval_stream(
            self._source,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            **self._stream,
        )
        for number, batch in enumerate(stream, 1):
            image = sharding.put_batch({"image": batch.pop("image")}, self._mesh)["image"]
            logit = self._predict(variables, image)
            # One batch late, so that reading never makes the device wait.
            if waiting is not None:
                rows.extend(_rows(*waiting))
            waiting = batch, logit
            if on_batch is not None:
                on_batch(min(number * self._stream["batch_size"], len(self._source)))
        if waiting is not None:
            rows.extend(_rows(*waiting))
        gathered = [row for part in sharding.gather_json(rows) for row in part]
        gathered.sort(key=lambda row: row["index"])
        return frame.Scores(**{key: np.array([row[key] for row in gathered]) for key in _COLUMNS})


def _rows(batch: dict[str, Any], logit: jax.Array) -> Iterator[dict[str, Any]]:
    columns = {**batch, "logit": sharding.local_rows(logit).astype(np.float64)}
    for number in np.flatnonzero(batch["mask"]):
        row = {key: columns[key][number] for key in _COLUMNS}
        # Plain Python, so that it travels between processes as JSON.
        yield {k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()}
