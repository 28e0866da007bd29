"""How well scores rank fakes above reals: the metrics that need no threshold."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from dfjax import registry
from dfjax.data import builder
from dfjax.evaluators import frame, video
from dfjax.metrics import calibration, ranking

OF_CROPS = {
    "auc": ranking.auc,
    "ap": ranking.average_precision,
    "eer": ranking.eer,
    "log_loss": calibration.log_loss,
}


def of_crops(scores: frame.Scores) -> Iterator[tuple[str, float]]:
    """Yields the metrics of crops and their values."""
    for name, metric in OF_CROPS.items():
        yield name, metric(scores.label, scores.score)


@registry.register("evaluator", "ranking")
@dataclasses.dataclass(frozen=True)
class Ranking:
    """auc, ap, eer and log_loss of crops; video_auc where the split holds videos of both classes.

    Attributes:
      records: the split to score.
      scorer: what scores it.
    """

    records: builder.Records
    scorer: frame.FrameScorer

    def metrics(self) -> Iterator[str]:
        """Yields the metrics that `run` yields; for the last it reads the names of clips."""
        yield from OF_CROPS
        if self._has_videos():
            yield "video_auc"

    def run(self, variables: Any) -> Iterator[tuple[str, float]]:
        """Yields (metric, value)."""
        scores = self.scorer.scores(variables, self.records)
        yield from of_crops(scores)
        videos = video.Clips.of(scores).videos
        if set(videos.label.tolist()) == {0, 1}:
            yield "video_auc", ranking.auc(videos.label, videos.scores())

    def _has_videos(self) -> bool:
        """Whether there are clips of both classes with faces in two frames or more."""
        first: dict[str, int] = {}  # frame of each clip
        labels = set()
        for record in map(self.records.__getitem__, range(len(self.records))):
            if first.setdefault(record["clip"], record["frame"]) != record["frame"]:
                labels.add(record["label"])
            if len(labels) == 2:  # records are shuffled: that is soon
                return True
        return False
