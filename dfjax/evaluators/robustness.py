"""What distortions leave of the AUC while a model trains; `dfjax robustness` measures it at length.

Each stored crop is distorted on its own, also where the distortion is of films.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dfjax import registry
from dfjax.data import builder
from dfjax.evaluators import frame, video
from dfjax.media import image as media_image
from dfjax.metrics import ranking

if TYPE_CHECKING:
    from dfjax.distortions.suite import Condition


@dataclasses.dataclass(frozen=True)
class _Distorted:
    """Records whose images were made worse; stored without loss."""

    records: builder.Records
    condition: "Condition"

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        crop = media_image.decode_image(record["image"])
        name = f"{record['clip']}#{record['frame']}#{record['face']}"
        (distorted,) = self.condition.distort_crops([crop], name)
        return {**record, "image": media_image.encode_image(distorted, "png")}


@registry.register("evaluator", "robustness")
@dataclasses.dataclass(frozen=True)
class Robustness:
    """auc_TYPE of clips, the mean over the levels; auc_mean over the types, auc_worst of all.

    Attributes:
      records: the split to score.
      scorer: what scores it.
      types: distortions, or groups of them (`distortions.suite.GROUPS`).
      levels: of 1 to 5; every type and level scores the whole split.

    Raises:
      UserError: there is no such type or level.
    """

    records: builder.Records
    scorer: frame.FrameScorer
    types: Sequence[str] = ("deeperforensics",)
    levels: Sequence[int] = (3,)

    def __post_init__(self):
        self._conditions()

    def metrics(self) -> Iterator[str]:
        """Yields the metrics that `run` yields."""
        for name in self._conditions():
            yield f"auc_{name}"
        yield from ("auc_mean", "auc_worst")

    def run(self, variables: Any) -> Iterator[tuple[str, float]]:
        """Yields (metric, value)."""
        aucs = {
            name: [self._auc(variables, condition) for condition in conditions]
            for name, conditions in self._conditions().items()
        }
        means = {name: sum(values) / len(values) for name, values in aucs.items()}
        for name, mean in means.items():
            yield f"auc_{name}", mean
        yield "auc_mean", sum(means.values()) / len(means)
        yield "auc_worst", min(map(min, aucs.values()))

    def _conditions(self) -> dict[str, list["Condition"]]:
        from dfjax.distortions import suite  # loads FFmpeg, which trainings do without

        levels = suite.require_levels(self.levels)
        return {
            each.name: [suite.Condition(each.name, level) for level in levels]
            for each in suite.choose(self.types)
        }

    def _auc(self, variables: Any, condition: "Condition") -> float:
        clips = video.Clips.of(self.scorer.scores(variables, _Distorted(self.records, condition)))
        return ranking.auc(clips.label, clips.scores())
