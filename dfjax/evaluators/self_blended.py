"""How well reals are told from blends of themselves: what chooses a checkpoint without fakes."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from dfjax import registry
from dfjax.data import builder
from dfjax.evaluators import frame, ranking
from dfjax.evaluators.self_blends import SelfBlends

TYPE = "self_blended"


@registry.register("evaluator", TYPE)
@dataclasses.dataclass(frozen=True)
class SelfBlended:
    """auc, ap, eer and log_loss of crops: reals of the split against a blend of each with itself.

    Attributes:
      records: the split, of which fakes are left out.
      scorer: what scores it.
    """

    records: builder.Records
    scorer: frame.FrameScorer

    def metrics(self) -> Iterator[str]:
        """Yields the metrics that `run` yields."""
        yield from ranking.OF_CROPS

    def run(self, variables: Any) -> Iterator[tuple[str, float]]:
        """Yields (metric, value)."""
        yield from ranking.of_crops(self.scorer.scores(variables, self._blends))

    @functools.cached_property
    def _blends(self) -> SelfBlends:
        return SelfBlends(self.records)
