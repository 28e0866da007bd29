"""What a run trains on: a split of its dataset, and what `config.data.more` adds."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dfjax.data import builder, leaks, sampling
from dfjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Training:
    """Splits of prepared datasets, the run's own first.

    Attributes:
      splits: (dataset, name of the split).
      weights: how often pairs come from each, above 0.
    """

    splits: tuple[tuple[builder.Dataset, str], ...]
    weights: tuple[float, ...]

    @classmethod
    def open(
        cls, dataset: builder.Dataset, split: str, more: Sequence[tuple[str, float]]
    ) -> "Training":
        """Returns the split of a dataset, of weight 1, and `more`: ("DIR:SPLIT", weight) each.

        Raises:
          UserError: one of `more` is not understood, or its faces are cut out by another CropSpec.
          FileNotFoundError: there is no dataset in DIR.
        """
        for entry in more:
            _require_weighted(entry)
        further = [builder.open_split(name) for name, _ in more]
        for (other, _), (name, _) in zip(further, more, strict=True):
            dataset.crop_spec.require_equal(other.crop_spec, where=f"data.more: {name}")
        return cls(((dataset, split), *further), (1.0, *(float(weight) for _, weight in more)))

    @property
    def further(self) -> list[builder.Dataset]:
        """The datasets that `more` named."""
        return [dataset for dataset, _ in self.splits[1:]]

    def further_having(self, split: str) -> list[tuple[builder.Dataset, float]]:
        """Returns the datasets that `more` named, and weights, that have a split and spare it."""
        return [
            (dataset, weight)
            for (dataset, trained_on), weight in zip(self.splits[1:], self.weights[1:], strict=True)
            if split in dataset.splits and split != trained_on
        ]

    def spread(self, count: int) -> list[np.ndarray]:
        """Returns rows of each split, in order: at most `count` in all, as training draws them.

        That is as many reals as fakes, and of a class by the weights of the splits that have it. A
        split with fewer gives all that it has. Reads no record.
        """
        labels = [dataset.labels(split) for dataset, split in self.splits]
        rows = [[np.flatnonzero(each == label) for each in labels] for label in (0, 1)]
        classes = [each for each in rows if any(map(len, each))]
        taken = [self._share(each, count // len(classes)) for each in classes]
        return [np.sort(np.concatenate(each)) for each in zip(*taken, strict=True)]

    def _share(self, rows: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
        """So many of the rows of a class, by the weights of the splits, spread over each."""
        weights = np.where([len(each) > 0 for each in rows], self.weights, 0.0)
        counts = (count * weights / weights.sum()).astype(int)
        return [
            each[np.linspace(0, len(each) - 1, min(number, len(each)), dtype=int)]
            for each, number in zip(rows, counts, strict=True)
        ]

    def require_no_leaks(self, held_out: Sequence[str]) -> None:
        """Checks that the run's dataset has no leaks, and shares no id of `held_out` with `more`.

        Raises:
          UserError: it does; the message says what, and what to do.
        """
        dataset = self.splits[0][0]
        leaks.require_none(dataset)
        splits = [split for split in dataset.splits if split in held_out]
        leaks.require_apart(self.splits[1:], dataset, splits)

    def pairs(self, settings: sampling.Sampling, *, seed: int) -> sampling.Pairs:
        """Returns the pairs that the splits give.

        Raises:
          UserError: a split does not exist, or a class is missing that training needs.
        """
        parts = [
            sampling.Part(dataset.records(split), dataset.index(split), weight)
            for (dataset, split), weight in zip(self.splits, self.weights, strict=True)
        ]
        return sampling.Pairs(parts, settings, seed=seed)


def _require_weighted(entry: Any) -> None:
    """Checks that an entry of `config.data.more` is ("DIR:SPLIT", weight)."""
    match entry:
        case (str(), int() | float() as weight) if weight > 0:
            return
    raise UserError(f'data.more has {entry!r}: use ("DIR:SPLIT", weight), of a weight above 0')
